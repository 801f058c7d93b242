import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { WebSocketServer, type WebSocket } from 'ws'
import type { UpgradeSocket } from '../decorations.ts'
import { proxyError } from '../errors.ts'
import { EventStream } from './event-stream.ts'
import { LongPoll, type Batch } from './long-poll.ts'
import { nameChannel, wantsObjects } from './notification-routes.ts'
import { answerOwn } from './reply.ts'
import type { ChannelRoom } from './room.ts'
import { chooseSubprotocol } from './subprotocol.ts'
import type { VirtualChannel } from './virtual-channels.ts'
import { WebSocketListener } from './websocket-listener.ts'

/** A client has nothing to send here; more than this is no mistake. */
const maxClientMessageBytes = 64 * 1024
const maxClientFragments = 16
/** After a close frame the client gets this long to answer it. */
const closeTimeoutMs = 5_000
const abnormalClosure = 1006

/** The three ways to hear the channel. */
export function serveListeners (app: FastifyInstance, room: ChannelRoom, pingMs: number): void {
  const { log, limits } = room.parts
  const listenerLimits = { maxBufferedBytes: limits.listenerBytes, stallMs: limits.stallMs, pingMs }
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxClientMessageBytes,
    maxFragments: maxClientFragments,
    handleProtocols: chooseSubprotocol,
    ...{ closeTimeout: closeTimeoutMs } // since ws 8.19, unknown to its types
  })

  const ids = new WeakMap<IncomingMessage, string>()
  server.on('headers', (headers, raw) => headers.push(`X-Proxy-Request-ID: ${ids.get(raw)}`, `X-Request-ID: ${ids.get(raw)}`))

  async function connectWebSocket (request: FastifyRequest, reply: FastifyReply) {
    const { upgrade, headers } = request
    if (upgrade === null) {
      reply.header('Upgrade', 'websocket')
      throw proxyError('upgrade_required')
    }
    const fault = findHandshakeFault(headers)
    if (fault !== undefined) throw proxyError('header_invalid', { message: fault })
    // A byte that came before our 101 is no frame: it may be meant for whoever parses this connection next (CVE-2026-2833).
    if (upgrade.head.length > 0) throw proxyError('header_invalid', { message: 'Data came before the WebSocket was open.' })
    refuseBeyondLimit(room)
    room.refuseIfHopeless()
    await room.ensureLog()
    const name = nameChannel(room, request, 'websocket')
    // It may have been registered at another instance a moment ago.
    if (room.channels.find(name) === undefined) await room.parts.sharing.catchUp()
    const deleted = room.channels.isDeleted(name)
    const channel = deleted ? undefined : room.channels.register(name, null, log.head, Date.now()).channel
    reply.hijack()
    // Gone already: the response has noticed, and closed the entry.
    if (upgrade.socket.destroyed) return
    reply.raw.detachSocket(upgrade.socket as never)
    accept(request, upgrade, webSocket => {
      if (channel === undefined) refuse(request, webSocket)
      else void join(request, webSocket, upgrade, channel)
    })
  }

  function accept (request: FastifyRequest, { socket, head }: UpgradeSocket, done: (webSocket: WebSocket) => void): void {
    const { entry, raw, server: { trail } } = request
    let opened = false
    entry.kind = 'websocket'
    ids.set(raw, entry.id)
    socket.once('close', () => { if (!opened) trail.close(entry, { outcome: 'client_aborted' }) })
    server.handleUpgrade(raw, socket, head, webSocket => {
      opened = true
      done(webSocket)
    })
  }

  /** As the API does: the handshake is accepted, then the missing channel is told by the close code. */
  function refuse ({ entry, server: { trail } }: FastifyRequest, webSocket: WebSocket): void {
    webSocket.on('error', () => {})
    webSocket.on('close', () => trail.close(entry, { outcome: 'own', status: 101, close_code: 1011 }))
    webSocket.close(1011, 'No channel: PUT /v2/notification/websocket first')
  }

  async function join (request: FastifyRequest, webSocket: WebSocket, { socket }: UpgradeSocket, channel: VirtualChannel): Promise<void> {
    const { entry, member, server: { trail } } = request
    const gone = new AbortController()
    let listener: WebSocketListener | undefined
    recordBegin(request)
    webSocket.on('error', () => {})
    const forget = endEarly(request, webSocket)
    webSocket.on('close', code => {
      gone.abort()
      forget()
      trail.close(entry, { outcome: 'own', status: 101, close_code: listener?.closeCode ?? code, bytes_out: listener?.sentBytes ?? 0 })
    })
    const place = await room.places.take(channel, { only: false, gone: gone.signal })
    if (place === undefined || place === 'busy') return
    if (gone.signal.aborted) return place.leave(place.position)
    forget()
    const reader = room.reader(member, place.position, wantsObjects(channel.serialization))
    const joined = listener = new WebSocketListener(member.name, webSocket, socket, reader, listenerLimits, () => room.fanOut.wake(joined))
    place.follow(() => joined.positionAfter(abnormalClosure))
    const leave = room.listen(joined, member, channel)
    webSocket.on('close', code => {
      leave()
      place.leave(joined.positionAfter(code))
    })
  }

  async function openEventStream (request: FastifyRequest, reply: FastifyReply) {
    refuseBeyondLimit(room)
    room.refuseIfHopeless()
    await room.ensureLog()
    if (reply.raw.destroyed) return
    const { member } = request
    const start = findStart(room, request)
    const reader = room.reader(member, start.position)
    const stream = new EventStream(member.name, reader, position => log.idOf(position), listenerLimits, () => room.fanOut.wake(stream))
    if (start.lost) stream.gap(start.position, 'proxy_restarted')
    const leave = room.listen(stream, member)
    recordBegin(request)
    stream.once('close', leave)
    // X-Accel-Buffering: nginx in front would hold events back.
    reply.headers({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no', 'X-Request-ID': request.entry.id })
    stream.announce('channel', { state: room.standing.state })
    return reply.send(stream)
  }

  async function pull (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    refuseBeyondLimit(room)
    room.refuseIfHopeless()
    await room.ensureLog()
    const { member } = request
    const name = nameChannel(room, request, 'pull')
    if (room.channels.find(name) === undefined) await room.parts.sharing.catchUp()
    const { channel } = room.channels.register(name, null, log.head, Date.now())
    const gone = AbortSignal.any([AbortSignal.timeout(limits.pollWaitMs), closed(reply)])
    const place = await room.places.take(channel, { only: true, gone })
    if (place === 'busy') throw proxyError('poll_conflict')
    if (place === undefined) return answerOwn(request, reply, 204)
    const from = place.position
    if (reply.raw.destroyed) {
      place.leave(from)
      return reply
    }
    let answered: Batch | undefined
    const poll = new LongPoll(member.name, room.reader(member, from), limits.pollWaitMs, batch => {
      answered = batch
      answerPoll(request, reply, batch)
    })
    const leave = room.listen(poll, member, channel)
    // What was not handed over whole comes again with the next poll.
    reply.raw.once('close', () => {
      leave()
      place.leave(reply.raw.writableFinished ? answered?.position ?? from : from)
      poll.end('draining')
    })
    return reply
  }

  function deletePull (request: FastifyRequest, reply: FastifyReply) {
    const name = nameChannel(room, request, 'pull')
    const channel = room.channels.find(name)
    if (channel === undefined) return answerOwn(request, reply, 200, 'ALREADY_DELETED')
    room.listeners.endAll(channel)
    room.channels.remove(name)
    room.places.forget(channel)
    return answerOwn(request, reply, 200, 'REMOVED')
  }

  for (const end of ['', '/']) {
    app.get(`/v2/notification/websocket-connect${end}`, { exposeHeadRoute: false }, connectWebSocket)
    app.get(`/v2/notification/pull${end}`, { exposeHeadRoute: false }, pull)
    app.delete(`/v2/notification/pull${end}`, deletePull)
  }
  app.get('/_proxy/notifications', { exposeHeadRoute: false }, openEventStream)
}

/** In the trail from its beginning on: who listens is seen there, and stays there should the proxy be killed. Its end is recorded anyway. */
function recordBegin ({ entry, server: { trail } }: FastifyRequest): void {
  trail.record(entry, () => {})
}

/** While it waits for its place in the log, a WebSocket is ended here as its listener would end it. */
function endEarly ({ member, server: { health, team } }: FastifyRequest, webSocket: WebSocket): () => void {
  const stay = [
    health.onDrain(() => webSocket.close(1001, 'the proxy is shutting down')),
    team.onRevoked(member, () => webSocket.close(1008, 'the member token is no longer valid'))
  ]
  return () => { for (const leave of stay) leave() }
}

/** Aborted when the client has gone. */
function closed ({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  raw.once('close', () => gone.abort())
  return gone.signal
}

function answerPoll (request: FastifyRequest, reply: FastifyReply, { text, gap }: Batch): void {
  if (reply.raw.destroyed) return
  if (gap !== null) reply.header('X-Proxy-Gap', gap)
  if (text === null) answerOwn(request, reply, 204)
  else reply.code(200).headers({ 'Content-Type': 'application/json', 'Cache-Control': 'no-store', 'X-Request-ID': request.entry.id }).send(text)
}

/** Where an event stream begins: behind the event the client had last, else with the next one. */
function findStart ({ parts: { log } }: ChannelRoom, { headers, target }: FastifyRequest): { position: number, lost: boolean } {
  const last = headers['last-event-id'] ?? new URLSearchParams(target.query).get('after')
  if (typeof last !== 'string' || last === '') return { position: log.head, lost: false }
  const position = log.positionOf(last)
  // The log may begin with a gap that says so already.
  return position === undefined ? { position: log.first - 1, lost: (log.at(log.first)?.gap ?? null) === null } : { position, lost: false }
}

function refuseBeyondLimit ({ fanOut, parts: { limits } }: ChannelRoom): void {
  if (fanOut.listeners.size >= limits.listeners) {
    throw proxyError('concurrency_limited', { message: 'As many listeners are connected as the proxy takes.', retryAfter: 5 })
  }
}

/** What ws would refuse on the raw socket is refused here, where it is answered and recorded as everything else. */
function findHandshakeFault (headers: FastifyRequest['headers']): string | undefined {
  if (!/^[+/0-9A-Za-z]{22}==$/.test(String(headers['sec-websocket-key'] ?? ''))) return 'Sec-WebSocket-Key is missing or malformed.'
  if (headers['sec-websocket-version'] !== '13') return 'Sec-WebSocket-Version 13 is needed.'
  return undefined
}
