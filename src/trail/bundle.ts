import { explain } from './explanations/explain.ts'
import type { KnownProxy } from './bundle-context.ts'
import type { Explanation } from './explanations/rule.ts'
import { processOf } from './identifiers.ts'
import type { TrailItem } from './query/reader.ts'

/** What support needs to find a request, and nothing secret: no header, no body, no key; URLs are scrubbed. */
export interface SupportBundle {
  object: 'support-bundle'
  /** RFC 3339. */
  generated_at: string
  /** Those that handled the requests, as they were set then. */
  proxies: KnownProxy[]
  requests: BundledRequest[]
}

export interface BundledRequest {
  /** The API's own, by which its operators find it. */
  request_id: string | null
  proxy_request_id: string
  /** The `id` of the proxy that handled it; `null` where the trail does not know. */
  proxy: string | null
  method: string
  url: string
  status: number | null
  outcome: TrailItem['outcome']
  error: { type: string | null, message: string | null } | null
  explanation: Explanation | null
  timeline: TimelineStep[]
  /** Milliseconds that the API's clock was ahead of ours. */
  clock_offset_ms: number | null
  member: string
  region: string
  key_fingerprint: string
  attempts: number
  bytes_in: number
  bytes_out: number
  policy_decision: string
  notes: string[]
  trace_id: string
  client_agent: string
  async: { id: string, status: number | null, latency_ms: number | null } | null
  close_code: number | null
  /** The member's other requests of the same kind within a minute. */
  retries: RelatedRequest[]
  parent: RelatedRequest | null
  children: RelatedRequest[]
}

export interface TimelineStep {
  /** RFC 3339. */
  at: string
  /** Milliseconds since the request arrived. */
  offset_ms: number
  event: string
}

export interface RelatedRequest {
  proxy_request_id: string
  request_id: string | null
  started_at: string
  status: number | null
  outcome: TrailItem['outcome']
  error_type: string | null
}

export interface Related { retries: TrailItem[], parent: TrailItem | null, children: TrailItem[] }

export function buildBundle (requests: Array<{ item: TrailItem, related: Related }>, proxies: KnownProxy[], nowMs: number): SupportBundle {
  return {
    object: 'support-bundle',
    generated_at: new Date(nowMs).toISOString(),
    proxies,
    requests: requests.map(({ item, related }) => describe(item, related, proxies.find(({ id }) => id === processOf(item.id))))
  }
}

function describe (item: TrailItem, related: Related, proxy: KnownProxy | undefined): BundledRequest {
  const isOwn = item.path.startsWith('/_proxy/')
  return {
    request_id: item.upstream_request_id,
    proxy_request_id: item.id,
    proxy: proxy?.id ?? null,
    method: item.method,
    url: `${isOwn ? '' : proxy?.api ?? ''}${item.path}${item.query === '' ? '' : `?${item.query}`}`,
    status: item.status,
    outcome: item.outcome,
    error: item.error_type === null && item.error_message === null ? null : { type: item.error_type, message: item.error_message },
    explanation: explain(item),
    timeline: buildTimeline(item),
    clock_offset_ms: item.clock_offset_ms,
    member: item.member,
    region: item.region,
    key_fingerprint: item.key_fingerprint,
    attempts: item.attempts,
    bytes_in: item.bytes_in,
    bytes_out: item.bytes_out,
    policy_decision: item.policy_decision,
    notes: item.notes === '' ? [] : item.notes.split(','),
    trace_id: item.trace_id,
    client_agent: item.client_agent,
    async: item.async_id === null || isRefusedDevice(item) ? null : { id: item.async_id, status: item.async_status, latency_ms: item.async_latency_ms },
    close_code: item.close_code,
    retries: related.retries.map(summarise),
    parent: related.parent === null ? null : summarise(related.parent),
    children: related.children.map(summarise)
  }
}

/** What the API refused the device never sees; what it was too busy for (429) may be in its queue all the same. */
function isRefusedDevice ({ status, async_status: asyncStatus }: TrailItem): boolean {
  return asyncStatus === null && status !== null && status >= 300 && status < 500 && status !== 429
}

function summarise ({ id, upstream_request_id: requestId, started_at: startedAt, status, outcome, error_type: errorType }: TrailItem): RelatedRequest {
  return { proxy_request_id: id, request_id: requestId, started_at: startedAt, status, outcome, error_type: errorType }
}

const endings: Record<TrailItem['outcome'], string> = {
  open: 'still running',
  answered: 'the answer was complete',
  refused: 'the proxy refused it; nothing was sent to the API',
  failed: 'no usable answer came from the API',
  truncated: 'the answer broke off',
  client_aborted: 'the client left',
  own: 'the proxy answered by itself',
  unfinished: 'the proxy ended before the answer came'
}

/** Offsets are by the monotonic clock, so they are right even if the wall clock jumped. */
export function buildTimeline (item: TrailItem): TimelineStep[] {
  const startMs = Date.parse(item.started_at)
  const step = (offset: number, event: string): TimelineStep => ({ at: new Date(startMs + offset).toISOString(), offset_ms: offset, event })
  const steps = [step(0, `${item.member === '' ? 'a client' : item.member} asked for it`)]
  if (item.attempts > 1) steps.push(step(0, `it was sent ${item.attempts} times, as a kept connection had been closed`))
  if (item.ttfb_ms !== null) steps.push(step(item.ttfb_ms, `the API answered ${item.status ?? ''}`.trimEnd()))
  if (item.duration_ms !== null) steps.push(step(item.duration_ms, endings[item.outcome]))
  if (item.async_latency_ms !== null) steps.push(step(item.async_latency_ms, `the device answered ${item.async_status ?? ''}`.trimEnd()))
  return steps.sort((a, b) => a.offset_ms - b.offset_ms)
}
