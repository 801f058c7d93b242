import { catalogue } from '../errors.ts'
import { rows, type Group, type Row } from './table.ts'

const introduction = `# Reference

Generated from the program itself by \`npm run docs\`; a test fails when it is out of step. What to copy stands beside this file:
\`example.env\`, \`team.example.json\` and its schema, \`compose.yaml\` and \`compose.fleet.yaml\`, \`kubernetes/\` (a sidecar, a job, and in \`fleet/\` three instances), the systemd unit, Prometheus rules and the Grafana dashboard.

## Settings

Each setting is an environment variable, a line in \`.env\` in the working directory, and (but for secrets) a flag.
Flag beats environment beats \`.env\` beats default. Unknown names that begin with \`IZUMA_\` or \`PROXY_\` are an error, and every wrong
setting is named in one message. Durations are written \`500ms\`, \`30s\`, \`5m\`, \`12h\`, \`30d\`; sizes \`16KiB\`, \`64MiB\`, \`1GiB\`.
\`izuma-proxy check\` tests them against the world.`

const errors = `## Errors

An answer of the proxy itself has \`X-Proxy-Error: <type>\`, its own id as \`X-Request-ID\`, and a body in the API's own shape:
\`{"object":"error","code":502,"type":"upstream_unreachable","message":"…","request_id":"…"}\`. An answer without that header comes from the API.
Every answer has \`X-Proxy-Request-ID\`, which \`izuma-proxy trail show\` looks up.`

const paths = `## Paths of its own

Never forwarded; a member token is needed where there is a team, except for \`livez\` and \`readyz\`.

| path | what |
|---|---|
| \`/_proxy/livez\`, \`/_proxy/readyz\` | the process is up; settings and key are there and it isn't draining (never asks the API) |
| \`/_proxy/status\` | everything: parts, connections, channel, settings without secrets |
| \`/_proxy/metrics\` | Prometheus |
| \`/_proxy/trail\` | the trail: \`limit\` (2–1000, default 50), \`after\`, \`order\`, \`include=total_count\`, \`q\`, and \`field__eq\`, \`neq\`, \`lte\`, \`gte\`, \`in\`, \`nin\` for any column; with \`Accept: text/event-stream\` live |
| \`/_proxy/trail/series\` | counts, errors and latency percentiles over time for the same filters |
| \`/_proxy/trail/{id}\`, \`/_proxy/trail/{id}/bundle\` | one record with its explanation; what support needs, as JSON or Markdown (\`format=markdown\`) |
| \`/_proxy/trail/bundle\` | the same of several: \`id__in=…,…\`, or whatever the filters find, e.g. a time range; 100 records at most |
| \`/_proxy/notifications\` | the notification channel as an event stream, with \`Last-Event-ID\` |
| \`/_proxy/pages/<list path of the API>\` | a whole list, following \`after\`: NDJSON, or one JSON list with \`Accept: application/json\` |
| \`/_proxy/session\` | log a browser in (\`POST\` with the token) and out (\`DELETE\`) |
| \`/_proxy/members\` | members and their usage; ordinary members see themselves |
| \`/_proxy/console/\` | the page |`

const exitCodes = `## Exit codes

0: done, also after a graceful stop. 1: failed. 2: wrong usage or settings.`

/** Settings, paths and error types, as Markdown. */
export function renderReference (): string {
  const groups = [...new Set(rows.map(([, row]) => row.group))]
  return [
    introduction,
    ...groups.flatMap(group => ['', `### ${group}`, '', ...renderGroup(group)]),
    '', paths, '', errors, '',
    '| type | code | message | what to do |', '|---|---|---|---|',
    ...Object.entries(catalogue).map(([type, { code, message, solve }]) => `| \`${type}\` | ${code} | ${message} | ${solve} |`),
    '', exitCodes, ''
  ].join('\n')
}

function renderGroup (group: Group): string[] {
  const members = rows.map(([, row]) => row).filter(row => row.group === group)
  return ['| variable | flag | default | meaning |', '|---|---|---|---|', ...members.map(renderRow)]
}

function renderRow ({ env, flag, default: value, doc, kind }: Row): string {
  const shown = value === undefined ? '' : value === '' ? 'none' : `\`${value}\``
  return `| \`${env}\` | ${flag === undefined ? 'none' : `\`${flag}\``} | ${shown} | ${doc} *${kind.expected.replaceAll('|', '\\|')}* |`
}
