import type { KnownProxy } from './bundle-context.ts'
import type { BundledRequest, RelatedRequest, SupportBundle } from './bundle.ts'

/** A bundle to be pasted into a ticket or a mail: readable as it stands, and as Markdown. */
export function renderBundle ({ generated_at: at, proxies, requests }: SupportBundle): string {
  return [
    `# Support bundle: ${requests.length === 1 ? '1 request' : `${requests.length} requests`}`,
    '',
    `Made ${at}. It holds no key, header or body.`,
    ...proxies.flatMap(proxy => ['', ...renderProxy(proxy)]),
    ...requests.flatMap(request => ['', ...renderRequest(request)])
  ].join('\n') + '\n'
}

function renderProxy ({ id, version, node, region, api, configuration, settings }: KnownProxy): string[] {
  return [
    `## The proxy ${code(id)}`,
    '',
    `izuma-proxy ${plain(version)} (Node.js ${plain(node)}), region ${code(region)}, API ${code(api)}, configuration ${code(configuration)}.${settings === null ? '' : ' Settings other than the defaults:'}`,
    '',
    ...Object.entries(settings ?? {}).map(([name, value]) => `- ${code(`${name}=${value}`)}`)
  ]
}

function renderRequest (request: BundledRequest): string[] {
  return [
    `## ${code(`${request.method} ${request.url}`)}`,
    '',
    ...renderFacts(request),
    '',
    '### Timeline',
    '',
    ...request.timeline.map(({ at, offset_ms: offset, event }) => `- ${at} (+${formatMs(offset)}) ${plain(event)}`),
    ...renderExplanation(request),
    ...renderRelated('Other tries within a minute', request.retries),
    ...renderRelated('Made for this one', request.children),
    ...renderRelated('Part of', request.parent === null ? [] : [request.parent])
  ]
}

function renderFacts (request: BundledRequest): string[] {
  const facts: Array<[label: string, value: string | null]> = [
    ['Request id (X-Request-ID)', request.request_id ?? 'none: the API gave no answer with one'],
    ['Proxy\'s id (X-Proxy-Request-ID)', request.proxy_request_id],
    ['Handled by', request.proxy ?? 'a proxy that the trail knows nothing of'],
    ['Status', request.status === null ? 'none' : String(request.status)],
    ['Outcome', request.outcome],
    ['Error', request.error === null ? null : [...new Set([request.error.type, request.error.message].filter(Boolean))].join(': ')],
    ['Member', request.member],
    ['Key', request.key_fingerprint],
    ['Region', request.region],
    ['Times sent', String(request.attempts)],
    ['Bytes up, down', `${request.bytes_in}, ${request.bytes_out}`],
    ['Policy', request.policy_decision],
    ['Notes', request.notes.join(', ')],
    ['Asynchronous answer', request.async === null ? null : `${request.async.id}: ${request.async.status ?? 'none yet'}${request.async.latency_ms === null ? '' : ` after ${formatMs(request.async.latency_ms)}`}`],
    ['WebSocket close code', request.close_code === null ? null : String(request.close_code)],
    ['The API\'s clock against ours', request.clock_offset_ms === null ? null : describeOffset(request.clock_offset_ms)],
    ['Client', request.client_agent],
    ['Trace', request.trace_id]
  ]
  return facts.filter(([, value]) => value !== null && value !== '').map(([label, value]) => `- ${label}: ${code(value as string)}`)
}

/** `Date` has whole seconds: less says nothing. */
function describeOffset (ms: number): string {
  return Math.abs(ms) < 1000 ? 'within a second' : formatMs(ms)
}

function renderExplanation ({ explanation }: BundledRequest): string[] {
  if (explanation === null) return []
  const { likely, next, source } = explanation
  return ['', '### Likely cause', '', likely, '', `Next: ${next}`, '', `Source: ${source.url.startsWith('http') ? `[${source.title}](${source.url})` : `${source.title} (${source.url})`}`]
}

function renderRelated (title: string, requests: RelatedRequest[]): string[] {
  if (requests.length === 0) return []
  return ['', `### ${title}`, '', ...requests.map(request =>
    `- ${request.started_at} ${request.status ?? request.outcome}${request.error_type === null ? '' : ` ${code(request.error_type)}`}, request id ${code(request.request_id ?? 'none')}, proxy's id ${code(request.proxy_request_id)}`)]
}

/** As code, so that nothing in it is Markdown: the fence is longer than any in the text. Control characters go. */
export function code (text: string): string {
  const line = plain(text)
  const longest = Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length))
  const fence = '`'.repeat(longest + 1)
  const padding = line.startsWith('`') || line.endsWith('`') ? ' ' : ''
  return `${fence}${padding}${line}${padding}${fence}`
}

function plain (text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ')
}

export function formatMs (ms: number): string {
  if (Math.abs(ms) >= 10_000) return `${(ms / 1000).toFixed(1)} s`
  return `${ms >= 100 || Number.isInteger(ms) ? Math.round(ms) : Number(ms.toPrecision(3))} ms`
}
