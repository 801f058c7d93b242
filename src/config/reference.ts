import { catalogue } from '../errors.ts'
import { rows, type Group, type Row } from './table.ts'

/** The generated part of config/README.md: every setting and every error type. */
export function renderReference (): string {
  const groups = [...new Set(rows.map(([, row]) => row.group))]
  return [
    ...groups.flatMap(group => ['', `### ${group}`, '', ...renderGroup(group)]),
    '', '## Errors', '',
    'An answer of the proxy itself has `X-Proxy-Error: <type>` and a body in the API\'s own shape. Everything else comes from the API.', '',
    '| type | code | message | what to do |', '|---|---|---|---|',
    ...Object.entries(catalogue).map(([type, { code, message, solve }]) => `| \`${type}\` | ${code} | ${message} | ${solve} |`),
    ''
  ].join('\n')
}

function renderGroup (group: Group): string[] {
  const members = rows.map(([, row]) => row).filter(row => row.group === group)
  return ['| variable | flag | default | meaning |', '|---|---|---|---|', ...members.map(renderRow)]
}

function renderRow ({ env, flag, default: value, doc, kind }: Row): string {
  const shown = value === undefined ? '' : value === '' ? 'none' : `\`${value}\``
  return `| \`${env}\` | ${flag === undefined ? 'none' : `\`${flag}\``} | ${shown} | ${doc} (${kind.expected.replaceAll('|', '\\|')}) |`
}
