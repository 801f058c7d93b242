import { noteRules } from './note-rules.ts'
import { parameterRules } from './parameter-rules.ts'
import { pathRules } from './path-rules.ts'
import type { Advice } from './rule.ts'

/** The table of all advice, as Markdown for the reference page. */
export function renderAdvice (): string {
  const rules: Advice[] = [...parameterRules, ...pathRules, ...noteRules].sort((a, b) => a.code < b.code ? -1 : a.code > b.code ? 1 : 0)
  return [
    '| advice | where | what it says | source |',
    '|---|---|---|---|',
    ...rules.map(({ code, applies, text, source }) => `| \`${code}\` | ${applies} | ${text.replaceAll('|', '\\|')} | [${source.title}](${source.url}) |`),
    ''
  ].join('\n')
}
