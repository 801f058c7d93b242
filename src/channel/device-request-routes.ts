import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { UpstreamAnswer } from '../decorations.ts'
import { proxyError } from '../errors.ts'
import type { OpenEntry } from '../trail/record.ts'
import { makeAnswerBody } from './answer-body.ts'
import type { Asker } from './async-ids.ts'
import { isAsyncId, readDeviceRequestQuery, replaceAsyncId, type DeviceRequestQuery } from './device-request-query.ts'
import { readResource } from './paths.ts'
import { readWaitSeconds } from './prefer.ts'
import { passAnswer, readBody, sendOn, type AnswerHygiene } from './reply.ts'
import type { ChannelRoom } from './room.ts'
import { isOurId, makeUpstreamId } from './upstream-id.ts'
import { readText } from './upstream-calls.ts'

/** The API's default for devices in queue mode; for others it is two hours. */
const defaultExpirySeconds = 3 * 86_400
const maxExpirySeconds = 2_592_000
/** For clocks that differ and answers on their way. */
const expirySlackMs = 600_000
/** Failures after which the request certainly never reached the API. */
const neverSent = new Set(['trail_unavailable', 'access_key_unavailable', 'upstream_unreachable', 'upstream_tls_failed'])

/** Requests to devices, whose answers come over the channel: to whoever asked, or in the answer itself with `Prefer: wait`. */
export function serveDeviceRequests (app: FastifyInstance, room: ChannelRoom, hygiene: AnswerHygiene): void {
  const { limits, trail } = room.parts

  trail.onClosed(entry => {
    if (entry.async_id !== null && isOurId(entry.async_id) && isRefused(entry)) room.routing.forget(entry.async_id)
  })

  function postDeviceRequest (request: FastifyRequest, reply: FastifyReply): void | Promise<FastifyReply> {
    const { target, entry } = request
    const query = readDeviceRequestQuery(target.query)
    const waitSeconds = readWaitSeconds(request.headers.prefer as string | undefined)
    if (query.ambiguous) throw proxyError('validation_error', { fields: [{ name: 'async-id', message: 'It stands in the query more than once.' }] })
    // Without a usable id the API says what is wrong; nothing will come over the channel.
    if (query.asyncId === undefined ? waitSeconds === undefined : !isAsyncId(query.asyncId)) return app.forward(request, reply)
    if (!room.ids.hasRoom(request.member.name)) throw proxyError('concurrency_limited', { message: 'Too many device requests of this member wait for an answer.', retryAfter: 60 })
    const upstreamId = makeUpstreamId()
    entry.async_id = upstreamId
    if (waitSeconds !== undefined) return wait(request, reply, upstreamId, query, waitSeconds)
    room.touch()
    expect(request, reply, upstreamId, query, false)
    target.forward = `${target.path}?${replaceAsyncId(target.query, upstreamId)}`
    app.forward(request, reply)
  }

  function expect (request: FastifyRequest, reply: FastifyReply, upstreamId: string, query: DeviceRequestQuery, waits: boolean): Asker {
    const { entry, member } = request
    const asker = makeAsker(room, member.name, { clientId: query.asyncId ?? upstreamId, trailId: entry.id, expirySeconds: query.expirySeconds, waits })
    room.routing.expect(upstreamId, asker)
    reply.raw.once('close', room.asking.add(entry))
    return asker
  }

  async function wait (request: FastifyRequest, reply: FastifyReply, upstreamId: string, query: DeviceRequestQuery, seconds: number): Promise<FastifyReply> {
    const body = await readBody(request, limits.bodyBytes)
    await room.ensureRegistered()
    const { clientId } = expect(request, reply, upstreamId, query, true)
    const waiting = waitForAnswer(room, reply, upstreamId)
    try {
      const answer = await sendOn(request, reply, hygiene, { body, path: `${request.target.path}?${replaceAsyncId(request.target.query, upstreamId)}` })
      if (answer.status !== 202) return passAnswer(request, reply, hygiene, answer)
      await readText(answer)
      const text = await waiting.within(seconds * 1000)
      // The device's time is not the proxy's own.
      request.entry.answeredAt = performance.now()
      if (text === undefined) throw deviceTimeout(seconds, clientId)
      request.entry.status = 200
      copyRequestId(reply, answer)
      return await reply.code(200).headers({ 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store', 'Preference-Applied': `wait=${seconds}` }).send(makeAnswerBody(text))
    } finally {
      waiting.stop()
    }
  }

  /** The deprecated way: the API chooses the id and names it in the 202. */
  async function forwardResourceRequest (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    if (!room.ids.hasRoom(request.member.name)) throw proxyError('concurrency_limited', { message: 'Too many device requests of this member wait for an answer.', retryAfter: 60 })
    const body = await readBody(request, limits.bodyBytes)
    room.touch()
    const answer = await sendOn(request, reply, hygiene, { body })
    return await passAccepted(room, request, reply, hygiene, answer)
  }

  app.post('/v2/device-requests/:device', postDeviceRequest)
  app.route({ method: ['GET', 'PUT', 'POST', 'DELETE'], url: '/v2/endpoints/:device/*', exposeHeadRoute: false, handler: forwardOrObserve })

  /** `/v2/endpoints/{device}/` with nothing behind it is no resource. */
  function forwardOrObserve (request: FastifyRequest, reply: FastifyReply): void | Promise<FastifyReply> {
    if (readResource(request.target.canonicalPath).path === '') return app.forward(request, reply)
    return forwardResourceRequest(request, reply)
  }
}

/** Passes an answer on; the id in a 202 is remembered, so that its answer finds the member. */
export async function passAccepted (room: ChannelRoom, request: FastifyRequest, reply: FastifyReply, hygiene: AnswerHygiene, answer: UpstreamAnswer): Promise<FastifyReply> {
  if (answer.status !== 202) return passAnswer(request, reply, hygiene, answer)
  const text = await readText(answer)
  request.entry.answeredAt = performance.now()
  const id = readAsyncResponseId(text)
  if (id !== undefined) {
    request.entry.async_id = id
    reply.raw.once('close', room.asking.add(request.entry))
    room.routing.learn(id, makeAsker(room, request.member.name, { clientId: id, trailId: request.entry.id, expirySeconds: undefined, waits: false }), Date.now())
  }
  return passAnswer(request, reply, hygiene, answer, text)
}

function readAsyncResponseId (text: string): string | undefined {
  try {
    const id = (JSON.parse(text) as Record<string, unknown> | null)?.['async-response-id']
    return typeof id === 'string' ? id : undefined
  } catch {
    return undefined
  }
}

interface Asked { clientId: string, trailId: string, expirySeconds: number | undefined, waits: boolean }

function makeAsker ({ parts: { sharing: { instance } } }: ChannelRoom, member: string, { expirySeconds, ...asked }: Asked): Asker {
  const now = Date.now()
  return { ...asked, member, instance, askedAt: now, expiresAt: now + Math.min(expirySeconds ?? defaultExpirySeconds, maxExpirySeconds) * 1000 + expirySlackMs }
}

/** Takes the answer in place of the channel for as long as the client is there. */
function waitForAnswer (room: ChannelRoom, reply: FastifyReply, upstreamId: string) {
  room.demand.hold()
  let answered: (text: string | undefined) => void = () => {}
  const answer = new Promise<string | undefined>(resolve => { answered = resolve })
  const release = room.routing.intercept(upstreamId, answered)
  const leave = () => {
    release()
    answered(undefined)
  }
  reply.raw.once('close', leave)
  let timer: NodeJS.Timeout | undefined
  return {
    async within (ms: number): Promise<string | undefined> {
      timer = setTimeout(leave, ms)
      return await answer
    },
    stop (): void {
      clearTimeout(timer)
      release()
      room.demand.release(Date.now())
    }
  }
}

function deviceTimeout (seconds: number, clientId: string): Error {
  return proxyError('device_timeout', { message: `The device has not answered within ${seconds} s. The request stands: its answer comes over the notification channel as async-id ${clientId}.` })
}

function copyRequestId (reply: FastifyReply, { headers }: UpstreamAnswer): void {
  if (typeof headers['x-request-id'] === 'string') reply.header('X-Request-ID', headers['x-request-id'])
}

/**
 * A request that wasn't accepted gets no answer. What the API did of one that ended in a 5xx is unknown, and with 429
 * CONGESTION_CONTROL it is in the queue all the same: their ids are kept.
 */
function isRefused ({ outcome, status, error_type: type }: OpenEntry): boolean {
  if (outcome === 'refused' || (outcome === 'failed' && neverSent.has(type ?? ''))) return true
  return outcome === 'answered' && status !== null && status >= 300 && status < 500 && status !== 429
}
