import { duration } from '../config/kinds.ts'
import { isProxyError } from '../errors.ts'
import { parseListQuery, type ListQuery } from '../trail/query/parse.ts'
import { UsageError, type OptionValue } from './command.ts'

/** The flags by which `trail list`, `tail`, `export` and `show --bundle` choose records; all say the same as the trail's API. */
export const filterOptions = {
  member: { type: 'string' },
  method: { type: 'string' },
  path: { type: 'string' },
  status: { type: 'string' },
  outcome: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  find: { type: 'string' },
  filter: { type: 'string', multiple: true },
  limit: { type: 'string' },
  after: { type: 'string' }
} as const

type Options = Record<string, OptionValue>

/** Throws UsageError that names each wrong flag. */
export function parseFilters (options: Options, nowMs: number): ListQuery {
  const parameters: Array<[flag: string, name: string, value: string]> = []
  const add = (flag: string, name: string, value: string) => { parameters.push([flag, name, value]) }
  for (const flag of ['member', 'method', 'outcome'] as const) {
    const value = options[flag]
    if (value !== undefined) add(flag, `${flag}__in`, flag === 'method' ? String(value).toUpperCase() : String(value))
  }
  addPath(options['path'], add)
  addStatus(options['status'], add)
  if (options['since'] !== undefined) add('since', 'started_at__gte', parseTime(String(options['since']), nowMs))
  if (options['until'] !== undefined) add('until', 'started_at__lte', parseTime(String(options['until']), nowMs))
  for (const filter of [options['filter'] ?? []].flat()) addFilter(String(filter), add)
  for (const [flag, name] of [['limit', 'limit'], ['after', 'after'], ['find', 'q']] as const) {
    if (options[flag] !== undefined) add(flag, name, String(options[flag]))
  }
  return parse(parameters)
}

type Add = (flag: string, name: string, value: string) => void

/** `/v3/devices` is that path, `/v3/devices*` every path that begins so. */
function addPath (option: OptionValue, add: Add): void {
  if (option === undefined) return
  const path = String(option)
  if (!path.endsWith('*')) return add('path', 'path__eq', path)
  const prefix = path.slice(0, -1)
  add('path', 'path__gte', prefix)
  add('path', 'path__lte', `${prefix}\u{10ffff}`)
}

/** `404`, `404,500`, `4xx` or `error`. */
function addStatus (option: OptionValue, add: Add): void {
  if (option === undefined) return
  const status = String(option)
  if (status === 'error') return add('status', 'status__gte', '400')
  if (!/^[1-5]xx$/i.test(status)) return add('status', 'status__in', status)
  add('status', 'status__gte', `${status[0]}00`)
  add('status', 'status__lte', `${status[0]}99`)
}

/** `1h` ago, or a date as of RFC 3339. */
function parseTime (text: string, nowMs: number): string {
  if (!/^[0-9]+(ms|s|m|h|d)$/.test(text)) return text
  return new Date(nowMs - duration.decode(text)).toISOString()
}

function addFilter (text: string, add: Add): void {
  const cut = text.indexOf('=')
  if (cut < 0) throw new UsageError(`--filter ${text}: expected field__op=value, e.g. duration_ms__gte=500`)
  add('filter', text.slice(0, cut), text.slice(cut + 1))
}

function parse (parameters: Array<[flag: string, name: string, value: string]>): ListQuery {
  try {
    return parseListQuery(new URLSearchParams(parameters.map(([, name, value]) => [name, value])).toString())
  } catch (error) {
    if (!isProxyError(error) || error.fields === undefined) throw error
    const problems = error.fields.map(({ name, message }) => {
      const [flag, , value] = parameters.find(parameter => parameter[1] === name) ?? ['filter', '', '']
      return `--${flag} ${flag === 'filter' ? `${name}=${value}` : value}: ${message}`
    })
    throw new UsageError(problems.join('\n'))
  }
}
