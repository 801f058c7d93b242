import type { Attributes } from '@opentelemetry/api'
import type { OpenEntry } from '../trail/record.ts'

const known = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/**
 * What a span tells of a request, by OpenTelemetry's semantic conventions for HTTP (1.2x); ours begin with `izuma.`.
 * No header, no body, and of a query only the names.
 */
export function describeServerSpan (entry: OpenEntry, route: string | undefined, scheme: string): Attributes {
  return {
    ...describeCommon(entry),
    'url.scheme': scheme,
    'url.path': entry.path,
    ...(entry.query !== '' && { 'url.query': redactQuery(entry.query) }),
    ...(route !== undefined && { 'http.route': route }),
    'client.address': entry.client_address,
    'user_agent.original': entry.client_agent,
    'izuma.request_id': entry.id,
    'izuma.member': entry.member,
    'izuma.outcome': entry.outcome
  }
}

export function describeClientSpan (entry: OpenEntry, route: string | undefined, origin: string): Attributes {
  const { hostname, port } = new URL(origin)
  return {
    ...describeCommon(entry),
    'server.address': hostname,
    'server.port': port === '' ? 443 : Number(port),
    'url.full': origin + entry.path + (entry.query === '' ? '' : '?' + redactQuery(entry.query)),
    ...(route !== undefined && { 'url.template': route }),
    ...(entry.attempts > 1 && { 'http.request.resend_count': entry.attempts - 1 }),
    ...(entry.upstream_request_id !== null && { 'izuma.upstream_request_id': entry.upstream_request_id })
  }
}

function describeCommon ({ method, status, error_type: errorType, outcome }: OpenEntry): Attributes {
  const failed = (status ?? 0) >= 400 || outcome === 'failed' || outcome === 'truncated'
  return {
    'http.request.method': known.has(method) ? method : '_OTHER',
    ...(status !== null && { 'http.response.status_code': status }),
    ...(failed && { 'error.type': errorType ?? String(status ?? outcome) })
  }
}

/** `limit=2&filter=…` becomes `limit=REDACTED&filter=REDACTED`; a name without a value is a value to us. */
export function redactQuery (query: string): string {
  return query.split('&').map(pair => {
    const equals = pair.indexOf('=')
    return equals === -1 ? 'REDACTED' : pair.slice(0, equals) + '=REDACTED'
  }).join('&')
}

/** Bounded, as names of spans have to be. */
export function nameSpan ({ method }: OpenEntry, route: string | undefined): string {
  const verb = known.has(method) ? method : 'HTTP'
  return route === undefined ? verb : `${verb} ${route}`
}
