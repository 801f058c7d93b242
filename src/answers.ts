import type { ServerResponse } from 'node:http'
import { catalogue, errorBody, type ProxyError } from './errors.ts'

/** Refusals after which nothing else is read from the connection: what follows on it can't be trusted to be a request. */
const closing = new Set<string>(['request_target_invalid', 'header_invalid', 'header_too_large', 'request_timeout', 'draining', 'method_not_allowed'])

/**
 * Writes an answer in the proxy's own name onto a raw response: told apart by X-Proxy-Error, shaped like the API's errors,
 * with nothing in it that the catalogue doesn't say. `headers` are flat pairs that every answer of the request carries.
 */
export function writeError (response: ServerResponse, error: ProxyError, requestId: string, headers: string[]): void {
  if (response.headersSent || response.destroyed) return void response.destroy()
  const { code } = catalogue[error.type]
  const body = Buffer.from(JSON.stringify(errorBody(error, requestId)))
  response.writeHead(code, [
    'Content-Type', 'application/json; charset=utf-8',
    'Content-Length', String(body.length),
    'Cache-Control', 'no-store',
    'X-Proxy-Error', error.type,
    'X-Request-ID', requestId,
    ...(error.retryAfter === undefined ? [] : ['Retry-After', String(Math.max(1, Math.ceil(error.retryAfter)))]),
    ...(code === 401 ? ['WWW-Authenticate', 'Bearer'] : []),
    ...(closing.has(error.type) ? ['Connection', 'close'] : []),
    ...headers
  ])
  response.end(body)
}
