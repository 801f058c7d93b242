import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { proxyError } from '../errors.ts'
import { answerOwn, readBody } from './reply.ts'
import type { ChannelRoom } from './room.ts'
import type { ChannelKind, ChannelName, Serialization } from './virtual-channels.ts'

/** The channel's own paths of the API, answered for each member as if the key were the member's alone. */
export function serveNotificationPaths (app: FastifyInstance, room: ChannelRoom): void {
  const { log, limits } = room.parts

  async function putWebSocket (request: FastifyRequest, reply: FastifyReply) {
    const serialization = readSerialization(await readBody(request, limits.bodyBytes))
    await room.ensureRegistered()
    const { channel, created } = room.channels.register(nameChannel(room, request, 'websocket'), serialization, log.head, Date.now())
    if (created) room.places.begin(channel)
    await room.parts.sharing.publish()
    const shown = channel.serialization ?? { type: 'v2' }
    if (!created) return answerOwn(request, reply, 200, { serialization: shown })
    return answerOwn(request, reply, 201, { status: 'disconnected', queue_size: 0, serialization: shown })
  }

  async function getWebSocket (request: FastifyRequest, reply: FastifyReply) {
    const channel = room.channels.find(nameChannel(room, request, 'websocket'))
    if (channel === undefined) throw proxyError('not_found', { message: 'No channel has been registered.' })
    const { connected, queued } = await room.places.look(channel)
    return answerOwn(request, reply, 200, {
      status: connected ? 'connected' : 'disconnected',
      queue_size: queued,
      serialization: channel.serialization ?? { type: 'v2' }
    })
  }

  /** The member's own channel only: the API's stays for everybody else. */
  function deleteWebSocket (request: FastifyRequest, reply: FastifyReply) {
    const name = nameChannel(room, request, 'websocket')
    const channel = room.channels.find(name)
    if (channel === undefined) throw proxyError('not_found', { message: 'Websocket channel doesn\'t exist.' })
    room.channels.remove(name)
    room.places.forget(channel)
    room.listeners.endAll(channel)
    return answerOwn(request, reply, 204)
  }

  function getChannel (request: FastifyRequest, reply: FastifyReply) {
    if (room.standing.takenBy !== null) return answerOwn(request, reply, 200, { delivery_mechanism: room.standing.takenBy })
    if (room.channels.find(nameChannel(room, request, 'websocket'))) return answerOwn(request, reply, 200, { delivery_mechanism: 'WEB_SOCKET' })
    if (room.channels.find(nameChannel(room, request, 'pull'))) return answerOwn(request, reply, 200, { delivery_mechanism: 'LONG_POLLING' })
    throw proxyError('not_found', { message: 'Channel was not found.' })
  }

  /** There is no callback while the channel is the proxy's; a foreign one is shown by the API itself. */
  function getCallback (request: FastifyRequest, reply: FastifyReply) {
    if (room.standing.takenBy === 'CALLBACK') return app.forward(request, reply)
    throw proxyError('not_found', { message: 'The callback URL does not exist.' })
  }

  function deleteCallback () {
    if (room.standing.takenBy !== null) throw proxyError('channel_taken')
    throw proxyError('not_found', { message: 'Callback URL does not exist.' })
  }

  function putCallback () {
    throw proxyError('channel_taken', {
      message: 'A callback would take the notification channel away from everybody who shares this key. Listen to your own virtual channel instead: websocket-connect, pull, or /_proxy/notifications.'
    })
  }

  for (const end of ['', '/']) {
    app.put(`/v2/notification/websocket${end}`, putWebSocket)
    app.get(`/v2/notification/websocket${end}`, { exposeHeadRoute: false }, getWebSocket)
    app.delete(`/v2/notification/websocket${end}`, deleteWebSocket)
    app.get(`/v2/notification/channel${end}`, { exposeHeadRoute: false }, getChannel)
    app.get(`/v2/notification/callback${end}`, { exposeHeadRoute: false }, getCallback)
    app.delete(`/v2/notification/callback${end}`, deleteCallback)
    app.put(`/v2/notification/callback${end}`, putCallback)
  }
}

/** `?consumer=NAME` names a queue of one's own, for programs that share a member. */
export function nameChannel (room: ChannelRoom, request: FastifyRequest, kind: ChannelKind): ChannelName {
  const consumer = new URLSearchParams(request.target.query).get('consumer') ?? ''
  if (!/^[A-Za-z0-9._-]{0,64}$/.test(consumer)) {
    throw proxyError('validation_error', { fields: [{ name: 'consumer', message: 'Up to 64 of A-Z, a-z, 0-9, dot, underscore and dash.' }] })
  }
  const name = { member: request.member.name, consumer, kind }
  if (room.channels.find(name) === undefined && room.channels.countOf(name.member) >= room.parts.limits.consumersPerMember) {
    throw proxyError('concurrency_limited', { message: 'This member has as many notification channels as it may have.' })
  }
  return name
}

/** As far as the virtual channel needs it: what else is in it is kept and shown again. */
function readSerialization (body: Buffer): Serialization | null {
  if (body.length === 0) return null
  const value = readJson(body)
  const serialization = value?.['serialization']
  if (value === undefined || (serialization !== undefined && !isObject(serialization))) {
    throw proxyError('validation_error', { fields: [{ name: 'serialization', message: 'An object is expected.' }] })
  }
  return serialization ?? null
}

function readJson (body: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString())
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The API's own examples write the flag as text. */
export function wantsObjects (serialization: Serialization | null): boolean {
  const cfg = serialization?.['cfg']
  const flag = isObject(cfg) ? cfg['deregistrations_as_object'] : undefined
  return flag === true || flag === 'true'
}
