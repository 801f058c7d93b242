import { createHeaderRules, readConnectionOptions, removeNamed } from './header-rules.ts'
import { mayHoldCredential, redactCredentials, removeKeys } from './key-hygiene.ts'

const pass = 0
const drop = 1
const connection = 2
const acceptEncoding = 4
const referer = 8

const droppedPrefixes = ['proxy-', 'x-forwarded-', 'x-proxy-', 'sec-fetch-', 'sec-websocket-', 'access-control-request-']

const rules = createHeaderRules([
  // RFC 9110 §7.6.1: of this connection only. Expect was answered here, Upgrade: h2c is not taken up.
  [connection, ['connection']],
  [drop, ['keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'http2-settings', 'expect']],
  // The upstream room sets these itself, last.
  [drop, ['host', 'authorization', 'cookie', 'cookie2']],
  // Claims about where a request came from and what it really asks for: nobody in front of this proxy is trusted to
  // make them, and policy was judged on the method and target of the request line.
  [drop, ['forwarded', 'via', 'x-real-ip', 'x-client-ip', 'true-client-ip', 'cf-connecting-ip', 'x-cluster-client-ip']],
  [drop, ['x-original-url', 'x-rewrite-url', 'x-http-method', 'x-http-method-override', 'x-method-override']],
  // The proxy has judged the origin; the API's own opinion of a local page is of no use to anybody.
  [drop, ['origin']],
  [acceptEncoding, ['accept-encoding']],
  [referer, ['referer']]
], judgeOthers)

// Some servers read X_Name and X-Name as one header: CVE-2025-64484. A name with `_` shadows one that is managed here.
function judgeOthers (name: string): number {
  return name.includes('_') || droppedPrefixes.some(prefix => name.startsWith(prefix)) ? drop : pass
}

export interface RequestHeaderOptions {
  /** What to ask upstream for in place of the client's Accept-Encoding; `undefined` drops it. Called once for each such header. */
  acceptEncoding: (value: string) => string | undefined
}

/**
 * The client's headers as they go upstream, flat (name, value, name, value …): order, case and duplicates as received,
 * less what belongs to this connection or isn't the client's to say. Host and Authorization are never among them.
 */
export function forwardRequestHeaders (raw: readonly string[], options: RequestHeaderOptions): string[] {
  const headers: string[] = []
  let named: Set<string> | undefined
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    const rule = rules.of(name)
    if (rule === pass) headers.push(name, scrub(value))
    else if (rule === connection) named = readConnectionOptions(value, named)
    else pushManaged(headers, name, value, rule, options)
  }
  return removeNamed(headers, named)
}

function pushManaged (headers: string[], name: string, value: string, rule: number, options: RequestHeaderOptions): void {
  if (rule === referer) headers.push(name, scrubReferer(value))
  else if (rule === acceptEncoding) {
    const wanted = options.acceptEncoding(value)
    if (wanted !== undefined) headers.push(name, wanted)
  }
}

function scrub (value: string): string {
  return value.length < 20 ? value : redactCredentials(value)
}

/** A page that was opened with `?apiKey=…` in its address names the key in every Referer. */
function scrubReferer (value: string): string {
  if (!mayHoldCredential(value)) return value
  const mark = value.indexOf('?')
  const query = mark < 0 ? '' : removeKeys(value.slice(mark + 1))
  const page = mark < 0 ? value : value.slice(0, mark)
  return redactCredentials(query === '' ? page : `${page}?${query}`)
}
