import type { IncomingHttpHeaders } from 'node:http'
import type { Refusal } from './refusals.ts'

/** What browsers may do, told apart by what pages cannot forge: Origin, Sec-Fetch-* and Referer (Fetch standard, forbidden request headers). */
export interface Origins {
  /** `undefined`: let in. */
  judge (request: BrowserRequest): Refusal | undefined
  /** Headers to add, flat, to whatever is answered to this request; the same frozen array for the same origin. */
  answerHeaders (headers: IncomingHttpHeaders): readonly string[]
}

export interface BrowserRequest {
  method: string
  /** Path of the target, not decoded. */
  path: string
  headers: IncomingHttpHeaders
  /** The Host header's value, already found to be served. */
  host: string
  /** The listener speaks TLS. */
  secure: boolean
}

/** What a page may read of an answer, beside the CORS-safelisted headers. */
export const exposedHeaders = ['X-Request-ID', 'X-Proxy-Request-ID', 'X-Proxy-Error', 'X-Proxy-Advice', 'X-Proxy-Gap', 'Retry-After', 'Location', 'Content-Location', 'Link', 'Content-Disposition', 'ETag']

export const allowedMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

const preflightMaxAgeSeconds = '600'
const nothing: readonly string[] = Object.freeze([])

/** @param allowed exact origins as `URL.origin` prints them; `null` and wildcards are no origins and match nothing. */
export function createOrigins (allowed: readonly string[]): Origins {
  const answers = new Map(allowed.map(origin => [origin, Object.freeze(describeAccess(origin))]))
  // Once any origin is allowed, the same URL has different answers: a cache must not give one page another's.
  const others = allowed.length === 0 ? nothing : Object.freeze(['Vary', 'Origin'])
  return {
    judge: request => judge(request, answers),
    answerHeaders: ({ origin }) => origin === undefined ? others : answers.get(origin) ?? others
  }
}

function describeAccess (origin: string): string[] {
  return ['Access-Control-Allow-Origin', origin, 'Access-Control-Expose-Headers', exposedHeaders.join(', '), 'Vary', 'Origin']
}

function judge (request: BrowserRequest, allowed: Map<string, unknown>): Refusal | undefined {
  const { origin } = request.headers
  if (origin === undefined) return judgeWithoutOrigin(request, allowed)
  return allowed.has(origin) || isOwnOrigin(origin, request) ? undefined : 'origin_not_allowed'
}

/**
 * A page of the proxy itself. Behind a TLS terminator the schemes differ; then the browser's word that page and
 * request have the same origin decides.
 */
function isOwnOrigin (origin: string, { host, secure, headers }: BrowserRequest): boolean {
  const own = host.toLowerCase()
  if (origin === (secure ? 'https://' : 'http://') + own) return true
  return headers['sec-fetch-site'] === 'same-origin' && origin === `https://${own}`
}

/**
 * No Origin: not a browser, or a browser's GET without CORS (image, script, frame, link, navigation). Browsers send
 * Sec-Fetch-Site with those to loopback and https addresses; `none` is what a person typed, `same-origin` our own page.
 */
function judgeWithoutOrigin (request: BrowserRequest, allowed: Map<string, unknown>): Refusal | undefined {
  const site = request.headers['sec-fetch-site']
  if (site === undefined || site === 'none' || site === 'same-origin') return undefined
  return isLinkToConsole(request) || comesFromAllowedPage(request.headers.referer, allowed) ? undefined : 'cross_site'
}

// A link in a chat or a wiki may open the console as a page of its own, never in a frame (clickjacking).
function isLinkToConsole ({ method, path, headers }: BrowserRequest): boolean {
  return method === 'GET' && /^\/_proxy\/console(?:\/|$)/.test(path) &&
    headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
}

// `<img src>` and downloads on a page that is allowed: its Referer begins with its origin, and no page can claim another's.
function comesFromAllowedPage (referer: string | undefined, allowed: Map<string, unknown>): boolean {
  if (referer === undefined || allowed.size === 0) return false
  const pathStart = referer.indexOf('/', referer.indexOf('://') + 3)
  return pathStart > 0 && allowed.has(referer.slice(0, pathStart))
}

/** OPTIONS with both headers is the browser's question whether a page may send what it wants to (Fetch standard, CORS-preflight). */
export function isPreflight (method: string, headers: IncomingHttpHeaders): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}

const headerNameList = /^[\w!#$%&'*+.^`|~-]+(?:, *[\w!#$%&'*+.^`|~-]+)*$/

/** What a preflight is answered beside `answerHeaders`. Any header may be asked for: which ones go upstream is decided elsewhere. */
export function preflightHeaders (headers: IncomingHttpHeaders): Record<string, string> {
  const wanted = headers['access-control-request-headers']
  return {
    'access-control-allow-methods': allowedMethods.join(', '),
    ...(typeof wanted === 'string' && headerNameList.test(wanted) && { 'access-control-allow-headers': wanted }),
    ...(headers['access-control-request-private-network'] === 'true' && { 'access-control-allow-private-network': 'true' }),
    'access-control-max-age': preflightMaxAgeSeconds,
    vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'
  }
}
