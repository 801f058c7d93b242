/** The address of the requests page says what it shows: filters as the trail's API names them, and a few words of the page's own. */

/** Spans that move along with the clock, in milliseconds. */
export const spans: Record<string, { label: string, ms: number }> = {
  '5m': { label: 'Last 5 minutes', ms: 300_000 },
  '15m': { label: 'Last 15 minutes', ms: 900_000 },
  '1h': { label: 'Last hour', ms: 3_600_000 },
  '6h': { label: 'Last 6 hours', ms: 21_600_000 },
  '24h': { label: 'Last 24 hours', ms: 86_400_000 },
  '7d': { label: 'Last 7 days', ms: 604_800_000 }
}

export const usualSpan = '1h'

/** What can be filtered by, what the bar has no field of its own for first. The time is another matter. */
export const filterFields = ['path', 'error_type', 'error_message', 'duration_ms', 'ttfb_ms', 'status', 'method', 'member', 'outcome', 'kind', 'client_address', 'client_agent', 'upstream_request_id', 'bytes_in', 'bytes_out', 'attempts', 'policy_decision', 'notes', 'parent_id', 'trace_id', 'async_id', 'async_status', 'async_latency_ms', 'close_code', 'clock_offset_ms', 'id', 'key_fingerprint', 'query', 'region']

/** Words of the address that are no filters. */
const ownWords = new Set(['range', 'open'])
const timeWords = new Set(['started_at__gte', 'started_at__lte'])

export interface View {
  /** Filters and `q`, without the time. */
  conditions: Array<[string, string]>
  /** A span that moves, or a range that stands. */
  time: { span: string } | { from: string, to: string }
  /** Id of the request that is open beside the list. */
  open: string | null
}

export function readView (params: URLSearchParams): View {
  const conditions = [...params].filter(([name, value]) => value !== '' && !ownWords.has(name) && !timeWords.has(name))
  const from = params.get('started_at__gte')
  const to = params.get('started_at__lte')
  const range = params.get('range') ?? ''
  const open = params.get('open')
  return {
    conditions,
    time: from !== null && to !== null && isDate(from) && isDate(to) ? { from, to } : { span: Object.hasOwn(spans, range) ? range : usualSpan },
    // Whatever stands in the address goes into a path: it must be an id.
    open: open !== null && /^[\w.-]{8,128}$/.test(open) ? open : null
  }
}

function isDate (text: string): boolean {
  return !Number.isNaN(Date.parse(text))
}

export function writeView ({ conditions, time, open }: View): URLSearchParams {
  const params = new URLSearchParams(conditions.filter(([, value]) => value !== ''))
  if ('from' in time) {
    params.set('started_at__gte', time.from)
    params.set('started_at__lte', time.to)
  } else if (time.span !== usualSpan) params.set('range', time.span)
  if (open !== null) params.set('open', open)
  return params
}

/**
 * What the list, the tail and the series are asked for. What the proxy answered itself (its own pages, such as this one's data) is
 * shown only to those who ask for outcomes.
 */
export function queryOf ({ conditions, time }: Pick<View, 'conditions' | 'time'>): URLSearchParams {
  const query = new URLSearchParams(conditions)
  if (!conditions.some(([name]) => /^outcome(__|$)/.test(name))) query.append('outcome__neq', 'own')
  if ('from' in time) {
    query.append('started_at__gte', time.from)
    query.append('started_at__lte', time.to)
  }
  return query
}

/** Start of the time shown, in milliseconds. */
export function timeOf ({ time }: View, nowMs: number): { fromMs: number, toMs: number } {
  if ('from' in time) return { fromMs: Date.parse(time.from), toMs: Date.parse(time.to) }
  return { fromMs: nowMs - (spans[time.span]?.ms ?? 0), toMs: nowMs }
}

export function valueOf ({ conditions }: View, name: string): string {
  return conditions.find(([other]) => other === name || other === `${name}__eq`)?.[1] ?? ''
}

/** With one more filter, or another value of it; the empty value removes it. Both spellings of equality are one. */
export function withValue (view: View, name: string, value: string): View {
  const rest = view.conditions.filter(([other]) => other !== name && other !== `${name}__eq`)
  return { ...view, conditions: value === '' ? rest : [...rest, [name, value]] }
}

export function withoutCondition (view: View, index: number): View {
  return { ...view, conditions: view.conditions.filter((_, other) => other !== index) }
}

export const statusChoices: Record<string, { label: string, conditions: Array<[string, string]> }> = {
  '': { label: 'Any status', conditions: [] },
  ok: { label: '2xx and 3xx', conditions: [['status__gte', '200'], ['status__lte', '399']] },
  errors: { label: '4xx and 5xx', conditions: [['status__gte', '400']] },
  '4xx': { label: '4xx', conditions: [['status__gte', '400'], ['status__lte', '499']] },
  '5xx': { label: '5xx', conditions: [['status__gte', '500']] }
}

const isOfStatus = ([name]: [string, string]): boolean => /^status(__|$)/.test(name)

/** Which of the choices the filters on the status amount to; `other` if they are none of them. */
export function readStatus ({ conditions }: View): string {
  const given = JSON.stringify(conditions.filter(isOfStatus).sort())
  return Object.keys(statusChoices).find(key => JSON.stringify(statusChoices[key]?.conditions) === given) ?? 'other'
}

export function withStatus (view: View, choice: string): View {
  return { ...view, conditions: [...view.conditions.filter(condition => !isOfStatus(condition)), ...statusChoices[choice]?.conditions ?? []] }
}

/** Filters that no field of the bar shows. */
export function listChips (view: View, shown: readonly string[]): Array<{ index: number, text: string }> {
  const statusIsShown = readStatus(view) !== 'other'
  return view.conditions.flatMap(([name, value], index) => {
    const bare = name.replace(/__eq$/, '')
    if (shown.includes(bare) || (statusIsShown && isOfStatus([name, value]))) return []
    return [{ index, text: describeCondition(name, value) }]
  })
}

const signs: Record<string, string> = { eq: '=', neq: '≠', gte: '≥', lte: '≤', in: 'in', nin: 'not in' }

export function describeCondition (name: string, value: string): string {
  const cut = name.lastIndexOf('__')
  const [field, operator] = cut < 0 ? [name, 'eq'] : [name.slice(0, cut), name.slice(cut + 2)]
  return `${field} ${signs[operator] ?? operator} ${value}`
}
