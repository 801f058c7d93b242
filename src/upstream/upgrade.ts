import { createHash } from 'node:crypto'
import { ServerResponse, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { UpgradeSocket } from '../decorations.ts'
import { proxyError } from '../errors.ts'
import type { ExchangeContext } from './context.ts'
import type { AnswerHeaders } from './forwarding.ts'
import { Tunnel, type TunnelEnd } from './tunnel.ts'

const upgrades = new WeakMap<IncomingMessage, { socket: Duplex, head: Buffer }>()

/** The socket of an upgrade request, for the `request.upgrade` decoration. */
export function findUpgrade (raw: IncomingMessage) { return upgrades.get(raw) ?? null }

/** Sends upgrade requests through the same hooks and routes as every other request. */
export function listenForUpgrades (app: FastifyInstance, server: Server): void {
  server.on('upgrade', (raw: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgrades.set(raw, { socket, head })
    socket.on('error', () => {})
    const response = new ServerResponse(raw)
    response.shouldKeepAlive = false
    response.assignSocket(socket as never)
    response.once('finish', () => { if (!isTaken(response)) socket.end() })
    app.routing(raw, response)
  })
}

const taken = new WeakSet<ServerResponse>()
function isTaken (response: ServerResponse): boolean { return taken.has(response) }

/** Takes the socket away from its ServerResponse: from here on it carries frames, not HTTP. */
export function detachResponse (reply: FastifyReply, socket: Duplex): void {
  taken.add(reply.raw)
  reply.raw.detachSocket(socket as never)
}

const websocketGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** RFC 6455 §4.2.2 */
export function acceptValue (key: string): string {
  return createHash('sha1').update(key + websocketGuid).digest('base64')
}

/** Subprotocols that carry a credential; they never go on and are never echoed. */
const credentialProtocol = /^pelion_|^ak_|^izp_/i

/** What goes upstream for a WebSocket: the client's own handshake, less extensions and credentials. */
export function handshakeHeaders ({ headers }: FastifyRequest): string[] {
  const flat = ['Sec-WebSocket-Version', String(headers['sec-websocket-version'] ?? '13'), 'Sec-WebSocket-Key', String(headers['sec-websocket-key'] ?? '')]
  const protocols = offeredProtocols(headers['sec-websocket-protocol'])
  if (protocols.length > 0) flat.push('Sec-WebSocket-Protocol', protocols.join(', '))
  return flat
}

export function offeredProtocols (header: string | string[] | undefined): string[] {
  return String(header ?? '').split(',').map(item => item.trim()).filter(item => item !== '' && !credentialProtocol.test(item))
}

/** What is wrong with a client's handshake, if anything (RFC 6455 §4.2.1). */
export function findHandshakeFault ({ method, headers }: FastifyRequest): string | undefined {
  if (method !== 'GET') return 'A WebSocket is opened with GET.'
  if (!/^[+/0-9A-Za-z]{22}==$/.test(String(headers['sec-websocket-key'] ?? ''))) return 'Sec-WebSocket-Key is missing or malformed.'
  if (headers['sec-websocket-version'] !== '13') return 'Sec-WebSocket-Version 13 is needed.'
  return undefined
}

/**
 * Until a WebSocket is open nobody reads from its client, and one that leaves would be sent upstream all the same. This looks just
 * so far ahead as to notice; what comes early stays where it is.
 */
export function watchHandshake ({ socket }: UpgradeSocket): void {
  socket.once('end', destroyThis)
  socket.read(0)
}

function destroyThis (this: Duplex): void { this.destroy() }

/** Upstream said 101: say so to the client, if what it said is right, and join the two. */
export function acceptUpgrade (context: ExchangeContext, request: FastifyRequest, reply: FastifyReply, headers: AnswerHeaders, raw: string[], upstream: Duplex): void {
  const fault = findAnswerFault(request, headers)
  const { socket } = request.upgrade as NonNullable<FastifyRequest['upgrade']>
  upstream.on('error', () => {})
  socket.off('end', destroyThis)
  // A byte that came before our 101 is no frame: it may be meant for whoever parses this connection next (CVE-2026-2833).
  if (fault !== undefined || socket.destroyed || hasEarlyBytes(request)) {
    upstream.destroy()
    request.entry.outcome = 'failed'
    const error = fault === undefined ? proxyError('header_invalid', { message: 'Data came before the WebSocket was open.' }) : proxyError('upstream_invalid_response', { cause: new Error(fault) })
    return context.answerError(request, reply, error)
  }
  detachResponse(reply, socket)
  socket.write(renderSwitch(headers, [...context.responseHeaders(raw, request), ...context.ownHeaders(request)]))
  join(context, request, socket, upstream)
}

function hasEarlyBytes ({ upgrade }: FastifyRequest): boolean {
  return upgrade !== null && (upgrade.head.length > 0 || upgrade.socket.readableLength > 0)
}

function findAnswerFault ({ headers: asked }: FastifyRequest, headers: AnswerHeaders): string | undefined {
  if (headers['sec-websocket-accept'] !== acceptValue(String(asked['sec-websocket-key']))) return 'Sec-WebSocket-Accept is wrong'
  const chosen = headers['sec-websocket-protocol']
  if (chosen !== undefined && !offeredProtocols(asked['sec-websocket-protocol']).includes(String(chosen))) return 'a subprotocol that was not offered'
  if (headers['sec-websocket-extensions'] !== undefined) return 'an extension that was not offered'
  return undefined
}

function renderSwitch (headers: AnswerHeaders, flat: string[]): string {
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${String(headers['sec-websocket-accept'])}`]
  if (headers['sec-websocket-protocol'] !== undefined) lines.push(`Sec-WebSocket-Protocol: ${String(headers['sec-websocket-protocol'])}`)
  for (let index = 0; index < flat.length; index += 2) {
    if (!/^(sec-websocket-|content-length$)/i.test(flat[index] as string)) lines.push(`${flat[index]}: ${flat[index + 1]}`)
  }
  return lines.join('\r\n') + '\r\n\r\n'
}

function join (context: ExchangeContext, request: FastifyRequest, client: Duplex, upstream: Duplex): void {
  const { entry, server } = request
  entry.kind = 'websocket'
  const tunnel = new Tunnel({
    client,
    upstream,
    mask: context.maskStream(),
    pingIntervalMs: context.pingIntervalMs,
    onBytes: (direction, length) => { entry[direction === 'in' ? 'bytes_in' : 'bytes_out'] += length },
    onEnd: end => {
      forgetMember()
      context.tunnels.delete(tunnel)
      server.trail.close(entry, { ...describeEnd(end), close_code: end.closeCode })
    }
  })
  const forgetMember = server.team.onRevoked(request.member, () => tunnel.close(1008, 'the member token is no longer valid'))
  context.tunnels.add(tunnel)
}

function describeEnd ({ by }: TunnelEnd) {
  if (by === 'client') return { outcome: 'client_aborted' as const }
  return { outcome: by === 'upstream' ? 'truncated' as const : 'answered' as const }
}
