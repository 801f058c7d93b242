import type { FastifyInstance, FastifyRequest } from 'fastify'
import { chainStreams } from './access-key/body-stream.ts'
import { createUrlRewriter } from './access-key/body-urls.ts'
import { isSearchable, isWholeJson } from './access-key/content.ts'
import { createScrubber, scrubHeaderValue } from './access-key/scrubber.ts'
import { writeError } from './answers.ts'
import { regions } from './config/regions.ts'
import type { Settings } from './config/table.ts'
import { createAnswerHeaders, forwardReasonPhrase, forwardRequestHeaders, forwardResponseHeaders } from './guard/plugin.ts'
import { createErrorReader } from './trail/error-body.ts'
import type { Forwarding } from './upstream/forwarding.ts'

/** What the other rooms do to a request and its answer on the way, put together for whoever sends: upstream, channel, pages. */
export function makeForwarding (settings: Settings, app: FastifyInstance): Forwarding {
  const apiOrigin = settings.apiHost ?? regions[settings.region]
  const corsHeaders = createAnswerHeaders(settings)
  const scheme = settings.tlsCertFile === undefined ? 'http' : 'https'
  const acceptEncoding = settings.scrubCompressed === 'pass' ? (value: string) => value : () => 'identity'
  const proxyOrigin = ({ headers }: FastifyRequest) => `${scheme}://${headers.host ?? 'localhost'}`
  const ownHeaders = (request: FastifyRequest) => {
    const advice = app.advice.header(request)
    return ['X-Proxy-Request-ID', request.entry.id, ...corsHeaders(request), ...(advice === undefined ? [] : ['X-Proxy-Advice', advice])]
  }
  return {
    requestHeaders (request) {
      const flat = forwardRequestHeaders(request.raw.rawHeaders, { acceptEncoding })
      app.tracing?.send(request.entry, flat)
      return flat
    },
    responseHeaders (raw, request) {
      const flat = forwardResponseHeaders(raw, { apiOrigin, proxyOrigin: () => proxyOrigin(request) })
      return scrubValues(flat, app)
    },
    reasonPhrase: text => scrubHeaderValue(forwardReasonPhrase(text), app.accessKey.known()),
    ownHeaders,
    bodyTransform (headers, request) {
      const scrubber = isSearchable(headers) ? createScrubber(app.accessKey.known()) : undefined
      if (!settings.rewriteBodyUrls || !isWholeJson(headers)) return scrubber
      return chainStreams(createUrlRewriter(apiOrigin, proxyOrigin(request)), scrubber)
    },
    errorReader: createErrorReader,
    answerError: (request, reply, error) => writeError(request, reply, error, ownHeaders(request)),
    maskStream: () => createScrubber(app.accessKey.known())
  }
}

function scrubValues (flat: string[], app: FastifyInstance): string[] {
  const keys = app.accessKey.known()
  for (let index = 1; index < flat.length; index += 2) flat[index] = scrubHeaderValue(flat[index] as string, keys)
  return flat
}
