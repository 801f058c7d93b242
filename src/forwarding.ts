import type { FastifyInstance, FastifyRequest } from 'fastify'
import { writeError } from './answers.ts'
import { regions } from './config/regions.ts'
import type { Settings } from './config/table.ts'
import { createAnswerHeaders, forwardRequestHeaders, forwardResponseHeaders } from './guard/plugin.ts'
import { createErrorReader } from './trail/error-body.ts'
import type { Forwarding } from './upstream/forwarding.ts'

/** What the other rooms do to a request and its answer on the way, put together for upstream. */
export function makeForwarding (settings: Settings, app: FastifyInstance): Forwarding {
  const apiOrigin = settings.apiHost ?? regions[settings.region]
  const corsHeaders = createAnswerHeaders(settings)
  const scheme = settings.tlsCertFile === undefined ? 'http' : 'https'
  const acceptEncoding = (value: string) => value
  const ownHeaders = (request: FastifyRequest) => ['X-Proxy-Request-ID', request.entry.id, ...corsHeaders(request)]
  return {
    requestHeaders: request => forwardRequestHeaders(request.raw.rawHeaders, { acceptEncoding, notes: request.target.notes }),
    responseHeaders: (raw, request) => forwardResponseHeaders(raw, { apiOrigin, proxyOrigin: () => `${scheme}://${request.headers.host ?? 'localhost'}` }),
    ownHeaders,
    bodyTransform: () => undefined,
    errorReader: createErrorReader,
    answerError: (request, reply, error) => writeError(request, reply, error, ownHeaders(request)),
    maskStream: () => undefined
  }
}
