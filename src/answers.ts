import { STATUS_CODES } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { catalogue, errorBody, isProxyError, proxyError, type ErrorType, type ProxyError } from './errors.ts'

/** Refusals after which nothing else is read from the connection: what follows on it can't be trusted to be a request. */
const closing = new Set<ErrorType>(['request_target_invalid', 'header_invalid', 'header_too_large', 'request_timeout', 'draining', 'method_not_allowed'])

/** Of an answer in the proxy's own name, beside those that every answer of the request carries. */
function describeHeaders (error: ProxyError, requestId: string): Record<string, string> {
  const { code } = catalogue[error.type]
  return {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
    'X-Proxy-Error': error.type,
    'X-Request-ID': requestId,
    ...(error.retryAfter === undefined ? {} : { 'Retry-After': String(Math.max(1, Math.ceil(error.retryAfter))) }),
    ...(code === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}),
    ...(closing.has(error.type) ? { Connection: 'close' } : {})
  }
}

/** For replies that were hijacked: written onto the raw response. `headers` are flat pairs that every answer carries. */
export function writeError (request: FastifyRequest, reply: FastifyReply, error: ProxyError, headers: string[]): void {
  noteError(request, error)
  const response = reply.raw
  if (response.headersSent || response.destroyed) return void response.destroy()
  const body = Buffer.from(JSON.stringify(errorBody(error, request.entry.id)))
  const own = Object.entries(describeHeaders(error, request.entry.id)).flat()
  // Named, since upstream's may be set already: a head that couldn't be written keeps it.
  const { code } = catalogue[error.type]
  response.writeHead(code, STATUS_CODES[code] ?? 'Error', [...own, 'Content-Length', String(body.length), ...headers])
  response.end(body)
}

/** Makes Fastify answer in the API's shape, whatever was thrown and whatever wasn't found. */
export function handleErrors (app: FastifyInstance): void {
  app.setErrorHandler((thrown, request, reply) => {
    const error = isProxyError(thrown) ? thrown : translate(thrown, request)
    noteError(request, error)
    const body = JSON.stringify(errorBody(error, request.entry.id))
    return reply.code(catalogue[error.type].code).headers(describeHeaders(error, request.entry.id)).send(Buffer.from(body))
  })
  app.setNotFoundHandler(request => {
    throw request.url.startsWith('/_proxy/') || request.url === '/_proxy' ? proxyError('not_found') : proxyError('method_not_allowed')
  })
}

/** What Fastify or a mistake of ours threw: 4xx are the client's doing, everything else is a defect and logged as one. */
function translate (thrown: unknown, request: FastifyRequest): ProxyError {
  const status = (thrown as { statusCode?: number } | null)?.statusCode ?? 500
  if (status === 413) return proxyError('validation_error', { message: 'The request body is too large for this endpoint of the proxy.', cause: thrown })
  if (status >= 400 && status < 500) return proxyError('validation_error', { message: 'The request could not be read.', cause: thrown })
  request.log.error({ err: thrown, request_id: request.entry.id }, 'the proxy failed')
  return proxyError('internal_error', { cause: thrown })
}

function noteError ({ entry }: FastifyRequest, error: ProxyError): void {
  entry.error_type = error.type
  entry.error_message = error.message
  entry.status = catalogue[error.type].code
}
