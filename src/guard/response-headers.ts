import { createHeaderRules, readConnectionOptions, removeNamed } from './header-rules.ts'

const pass = 0
const drop = 1
const connection = 2
const location = 4
const link = 8

const droppedPrefixes = ['proxy-', 'x-proxy-', 'access-control-']

const rules = createHeaderRules([
  // RFC 9110 §7.6.1: of upstream's connection only. A Trailer beside a Content-Length would make Node throw.
  [connection, ['connection']],
  [drop, ['keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade']],
  // The session at the API is the proxy's, not the client's.
  [drop, ['set-cookie', 'set-cookie2']],
  // Said of the API's origin; a browser would take them for the proxy's, often `localhost` with everything else on it.
  [drop, ['alt-svc', 'strict-transport-security', 'clear-site-data', 'timing-allow-origin']],
  [location, ['location', 'content-location']],
  [link, ['link']]
], name => droppedPrefixes.some(prefix => name.startsWith(prefix)) ? drop : pass)

export interface ResponseHeaderOptions {
  /** `https://host[:port]` of the API, as `URL.origin` prints it. */
  apiOrigin: string
  /** Origin under which the client reached the proxy, `http://localhost:8080`; only called for an answer that names the API's. */
  proxyOrigin: () => string
}

/**
 * Upstream's headers as they go to the client, flat (name, value, …): order, case and duplicates as received, less
 * what belongs to upstream's connection or origin. References to the API's own origin become the proxy's.
 */
export function forwardResponseHeaders (raw: ReadonlyArray<string | Buffer>, options: ResponseHeaderOptions): string[] {
  const headers: string[] = []
  let named: Set<string> | undefined
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = readText(raw[i] as string | Buffer)
    const rule = rules.of(name)
    if (rule === drop) continue
    const value = readText(raw[i + 1] as string | Buffer)
    if (rule === pass) headers.push(name, value)
    else if (rule === connection) named = readConnectionOptions(value, named)
    else headers.push(name, rule === location ? rewriteReference(value, options) : rewriteLinks(value, options))
  }
  return removeNamed(headers, named)
}

const reasonPhrase = /^[\t -~\x80-\xff]*$/

/** One that Node would refuse to send is left out (RFC 9112 §4: no client relies on it). */
export function forwardReasonPhrase (text: string): string {
  return reasonPhrase.test(text) ? text : ''
}

// Header bytes are latin1 to Node on the way out as well, so every byte survives.
function readText (text: string | Buffer): string {
  return typeof text === 'string' ? text : text.toString('latin1')
}

/**
 * `https://api.example/v3/x` → `http://localhost:8080/v3/x`. Exactly the API's origin: its host in any case, with or
 * without the default port; another host that begins like it, or it before an `@`, is somebody else.
 */
export function rewriteReference (reference: string, { apiOrigin, proxyOrigin }: ResponseHeaderOptions): string {
  const rest = restBehindOrigin(reference, apiOrigin)
  return rest === undefined ? reference : proxyOrigin() + rest
}

function restBehindOrigin (reference: string, apiOrigin: string): string | undefined {
  const withScheme = reference.startsWith('//') ? `https:${reference}` : reference
  if (withScheme.slice(0, apiOrigin.length).toLowerCase() !== apiOrigin) return undefined
  const behind = withScheme.slice(apiOrigin.length)
  const rest = /:[0-9]+$/.test(apiOrigin) ? behind : behind.replace(/^:443(?![0-9])/, '')
  return rest === '' || /^[/?#]/.test(rest) ? rest : undefined
}

/** RFC 8288: `<reference>; rel="next", <…>; …` */
function rewriteLinks (value: string, options: ResponseHeaderOptions): string {
  return value.replace(/<([^<>]*)>/g, (_, reference: string) => `<${rewriteReference(reference, options)}>`)
}
