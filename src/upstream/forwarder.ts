import type { FastifyReply, FastifyRequest } from 'fastify'
import { isProxyError, proxyError } from '../errors.ts'
import type { Dispatcher } from 'undici'
import { unwatched } from './answer-watch.ts'
import type { ExchangeContext } from './context.ts'
import { Exchange } from './exchange.ts'
import { completeHeaders, hasBody } from './forwarding.ts'
import type { TimeLimits } from './time-limits.ts'
import { findHandshakeFault, handshakeHeaders, watchHandshake } from './upgrade.ts'

export type TimeLimitsOf = (canonicalPath: string, accept: string | undefined) => TimeLimits

/**
 * Hands a request that was let in to upstream: key, record, exchange, in this order. Nothing goes out without a key, nor
 * before the trail has it.
 */
export function makeForwarder (context: ExchangeContext, host: string, timeLimits: TimeLimitsOf) {
  return function forward (request: FastifyRequest, reply: FastifyReply): void {
    reply.hijack()
    const key = context.accessKey.current()
    const fault = request.upgrade === null ? undefined : findHandshakeFault(request)
    if (fault !== undefined) return refuse(proxyError('header_invalid', { message: fault }))
    if (key === undefined) return refuse(proxyError('access_key_unavailable'))
    if (request.upgrade !== null) watchHandshake(request.upgrade)
    request.entry.key_fingerprint = key.fingerprint
    request.server.trail.record(request.entry, error => {
      if (error !== undefined) return refuse(error)
      const headers = completeHeaders(context.requestHeaders(request), host, key)
      const limits = timeLimits(request.target.canonicalPath, request.headers.accept)
      new Exchange(context, request, reply, key, limits).send(describe(request, headers))
    })

    function refuse (error: Error): void {
      request.entry.outcome = 'refused'
      context.answerError(request, reply, isProxyError(error) ? error : proxyError('internal_error', { cause: error }))
    }
  }
}

function describe (request: FastifyRequest, headers: string[]): Dispatcher.DispatchOptions {
  const upgrade = request.upgrade !== null
  if (upgrade) headers.push(...handshakeHeaders(request))
  return {
    path: request.target.forward,
    method: request.method,
    headers,
    // Not the stream itself: undici destroys a body it didn't need whole, and with it the connection that waits for the answer.
    body: hasBody(request.headers) && !upgrade ? request.raw.iterator({ destroyOnReturn: false }) as never : null,
    upgrade: upgrade ? 'websocket' : null,
    ...unwatched
  }
}
