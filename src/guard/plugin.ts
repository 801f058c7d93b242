import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Settings } from '../config/table.ts'
import type { RequestTarget } from '../decorations.ts'
import { proxyError } from '../errors.ts'
import type { ProxyError } from '../errors.ts'
import type { OpenEntry } from '../trail/record.ts'
import { createBodyWatch, entryOfBody } from './body-watch.ts'
import type { BodyWatch } from './body-watch.ts'
import { readMaxConnections } from './connections.ts'
import { judgeHeaders } from './framing.ts'
import { createHostJudge } from './hosts.ts'
import type { HostJudge } from './hosts.ts'
import { listenToServer } from './listener.ts'
import { allowedMethods, createOrigins, isPreflight, preflightHeaders } from './origins.ts'
import type { Origins } from './origins.ts'
import { answerSocket, forbidMore, isForbidden } from './raw-answers.ts'
import { refusals } from './refusals.ts'
import type { Refusal } from './refusals.ts'
import { askForBody, awaitBody } from './request-body.ts'
import { describeRefusedTarget, judgeTarget } from './target.ts'

export { listenerOptions, serverOptions } from './listener.ts'
export { forwardRequestHeaders } from './request-headers.ts'
export { forwardReasonPhrase, forwardResponseHeaders } from './response-headers.ts'

type GuardSettings = Pick<Settings, 'allowedHosts' | 'allowedOrigins' | 'clientBodyIdleTimeout' | 'listen' | 'tlsCertFile' | 'upstreamConnections'>

export interface GuardOptions { settings: GuardSettings }

/** What every request is judged by. */
interface Rules {
  servesHost: HostJudge
  origins: Origins
  secure: boolean
  watch: BodyWatch
  warn: (request: FastifyRequest, code: string) => void
}

export default fastifyPlugin(function guard (app: FastifyInstance, { settings }: GuardOptions, done: (error?: Error) => void) {
  const origins = createOrigins(settings.allowedOrigins)
  const watch = createBodyWatch({
    idleTimeoutMs: settings.clientBodyIdleTimeout,
    now: () => performance.now(),
    onIdle: (request, entry) => cutOff(request, entry, origins)
  })
  const rules: Rules = {
    servesHost: createHostJudge('socketPath' in settings.listen ? 'any' : settings.allowedHosts),
    origins,
    secure: settings.tlsCertFile !== undefined,
    watch,
    warn: createWarner()
  }
  app.decorateRequest('target')
  app.addHook('onRequest', (request, reply, next) => letIn(request, reply, rules, next))
  app.addHook('preParsing', makeBodyReceiver(watch, settings.upstreamConnections))
  app.addHook('onClose', (_app, closed) => { watch.stop(); closed() })
  listenToServer(app)
  const maxConnections = readMaxConnections(settings.upstreamConnections)
  if (maxConnections !== undefined) app.server.maxConnections = maxConnections
  done()
}, { name: 'guard', dependencies: ['trail'] })

/** For whoever answers on the raw response: the CORS headers of this request's answer, flat. */
export function createAnswerHeaders ({ allowedOrigins }: Pick<Settings, 'allowedOrigins'>): (request: FastifyRequest) => readonly string[] {
  const origins = createOrigins(allowedOrigins)
  return request => origins.answerHeaders(request.raw.headers)
}

function letIn (request: FastifyRequest, reply: FastifyReply, rules: Rules, next: (error?: Error) => void): void {
  const { raw } = request
  if (isForbidden(raw.socket)) return next(refuseFollower(request))
  addAnswerHeaders(reply, rules.origins.answerHeaders(raw.headers))
  const facts = judgeHeaders(raw.rawHeaders, raw.httpVersion)
  if (typeof facts === 'string') return next(refuse(request, reply, facts, rules))
  if (facts.hasBody) rules.watch.add(raw, reply.raw, request.entry)
  const method = raw.method ?? ''
  if (!allowedMethods.includes(method)) return next(refuse(request, reply, 'method_not_allowed', rules))
  if (!rules.servesHost(facts.host)) return next(refuse(request, reply, 'host_not_allowed', rules))
  const target = judgeTarget(raw.url ?? '')
  if (typeof target === 'string') return next(refuse(request, reply, target, rules))
  const refusal = rules.origins.judge({ method, path: target.path, headers: raw.headers, host: facts.host, secure: rules.secure })
  if (refusal !== undefined) return next(refuse(request, reply, refusal, rules))
  if (facts.keyAsToken) target.notes.push('key_sent_as_token')
  if (facts.keyElsewhere) target.notes.push('key_removed_from_header')
  accept(request, target, rules)
  if (!isPreflight(method, raw.headers)) return next()
  reply.code(204).headers(preflightHeaders(raw.headers)).send()
}

function addAnswerHeaders (reply: FastifyReply, headers: readonly string[]): void {
  for (let i = 0; i + 1 < headers.length; i += 2) reply.header(headers[i] as string, headers[i + 1])
}

function refuse (request: FastifyRequest, reply: FastifyReply, refusal: Refusal, rules: Rules): ProxyError {
  const [type, message] = refusals[refusal]
  const { raw, entry } = request
  Object.assign(entry, describeRefusedTarget(raw.url ?? ''))
  addNotes(entry, [refusal])
  if (type === 'access_key_in_url') rules.warn(request, refusal)
  if (type !== 'origin_not_allowed') {
    forbidMore(raw.socket)
    reply.header('connection', 'close')
  }
  if (type === 'method_not_allowed') reply.header('allow', allowedMethods.join(', '))
  return proxyError(type, message === undefined ? {} : { message })
}

/** The answer before it closes the connection: this one's never leaves, so its entry is closed here. */
function refuseFollower (request: FastifyRequest): ProxyError {
  const { entry, server } = request
  Object.assign(entry, describeRefusedTarget(request.raw.url ?? ''))
  addNotes(entry, ['behind_refused'])
  const error = proxyError('header_invalid')
  server.trail.close(entry, { outcome: 'refused', status: error.statusCode, error_type: error.type })
  return error
}

function accept (request: FastifyRequest, target: RequestTarget, rules: Rules): void {
  const { entry, raw } = request
  request.target = target
  // Whoever reads the URL from here on sees what is forwarded: without a key, with one slash at its start.
  if (raw.url !== target.forward) raw.url = target.forward
  entry.path = target.path
  entry.query = target.query
  if (target.notes.length === 0) return
  addNotes(entry, target.notes)
  for (const code of target.notes) rules.warn(request, code)
}

function addNotes (entry: OpenEntry, codes: readonly string[]): void {
  entry.notes = (entry.notes === '' ? codes : [entry.notes, ...codes]).join(',')
}

const maxRemembered = 1000

/** A key or token where it doesn't belong is named in the log, the first time it happens at an address. */
function createWarner (): Rules['warn'] {
  const warned = new Set<string>()
  return ({ log, entry }, code) => {
    const what = `${code} ${entry.client_address}`
    if (warned.has(what)) return
    if (warned.size >= maxRemembered) warned.clear()
    warned.add(what)
    log.warn({ code, client: entry.client_address, agent: entry.client_agent, request_id: entry.id }, 'a client put a credential where it does not belong: treat it as published')
  }
}

/**
 * Bodies stream through as they come, while uploads hold less than a quarter of the connections to the API. Beyond that
 * each has to be here, or fill its buffer, before it gets one: a thousand slow uploads must leave the rest to the others.
 */
function makeBodyReceiver (watch: BodyWatch, upstreamConnections: number) {
  const streamed = Math.floor(upstreamConnections / 4)
  return function receiveBody ({ raw }: FastifyRequest, reply: FastifyReply, _payload: unknown, next: (error: null) => void): void {
    if (entryOfBody(raw) === undefined) return next(null)
    askForBody(raw, reply.raw)
    if (watch.underWay <= streamed) next(null)
    else awaitBody(raw, () => next(null))
  }
}

function cutOff (request: IncomingMessage, entry: OpenEntry, origins: Origins): void {
  const { socket } = request
  const response = (socket as { _httpMessage?: ServerResponse | null })._httpMessage
  // Another answer may still be under way on this connection: ours must not take its place.
  if (response == null || response.headersSent || response.req !== request) socket.destroy()
  else answerSocket(socket, 'request_timeout', entry, { headers: origins.answerHeaders(request.headers) })
}
