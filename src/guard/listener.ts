import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Settings } from '../config/table.ts'
import type { ErrorType } from '../errors.ts'
import type { OpenEntry } from '../trail/record.ts'
import { entryOfBody } from './body-watch.ts'
import { redactCredentials } from './key-hygiene.ts'
import { createOrigins } from './origins.ts'
import type { Origins } from './origins.ts'
import { answerResponse, answerSocket, isForbidden } from './raw-answers.ts'
import { describeRefusedTarget } from './target.ts'

type ListenerSettings = Pick<Settings, 'allowedOrigins' | 'clientHeadersTimeout' | 'clientKeepAlive'>

const maxHeaderBytes = 16 * 1024
const longestCheckIntervalMs = 2000

/** Options for Node's own server: what is decided before there is a request. Merge with the certificates for TLS. */
export function serverOptions ({ clientHeadersTimeout }: ListenerSettings): ServerOptions {
  return {
    maxHeaderSize: maxHeaderBytes,
    insecureHTTPParser: false,
    // Also the limit for a connection that never sends a byte: Node counts from the moment it is accepted.
    headersTimeout: clientHeadersTimeout,
    // The same for a TLS listener, where that counting begins after the handshake.
    handshakeTimeout: clientHeadersTimeout,
    connectionsCheckingInterval: Math.max(50, Math.min(longestCheckIntervalMs, clientHeadersTimeout / 4)),
    // Uploads may take as long as they move: the body watch cuts off those that don't.
    requestTimeout: 0,
    // A missing Host is refused by the guard, in the shape of every other refusal, and recorded.
    requireHostHeader: false,
    shouldUpgradeCallback
  }
}

/** The part of Fastify's own options that belongs to the listener; `http` (or `https`) takes `serverOptions`. */
export function listenerOptions ({ allowedOrigins, clientKeepAlive }: ListenerSettings) {
  const origins = createOrigins(allowedOrigins)
  return {
    keepAliveTimeout: clientKeepAlive,
    requestTimeout: 0,
    connectionTimeout: 0,
    clientErrorHandler,
    frameworkErrors: (_error: Error, request: FastifyRequest, reply: FastifyReply) => refuseUnroutable(request, reply, origins)
  }
}

/**
 * Anything but a WebSocket handshake is answered as plain HTTP: Java's HttpClient offers `Upgrade: h2c` on every
 * first request, and a tunnel for it would carry requests past all hooks (h2c smuggling).
 */
function shouldUpgradeCallback (request: IncomingMessage): boolean {
  return request.method === 'GET' && request.httpVersion === '1.1' && request.headers.upgrade?.toLowerCase() === 'websocket'
}

interface ClientError extends Error { code?: string, rawPacket?: unknown }

/** As Node keeps it on the socket: the response that is under way on this connection. */
type BusySocket = Duplex & { bytesRead?: number, remoteAddress?: string | undefined, _httpMessage?: ServerResponse | null }

const failedSockets = new WeakSet<Duplex>()

/** What the parser refused, or what didn't arrive in time. Bound to the Fastify instance by Fastify. */
function clientErrorHandler (this: FastifyInstance, error: ClientError, rawSocket: Duplex): void {
  const socket = rawSocket as BusySocket
  const type = classify(error)
  // Refused already: Node 24 hands some requests on before it finds fault with them. That answer closes the connection.
  if (failedSockets.has(socket) || isForbidden(socket)) return
  failedSockets.add(socket)
  if (type === undefined || !socket.writable || socket.bytesRead === 0) socket.destroy()
  else refuseOnSocket(this, socket, type, error)
}

function refuseOnSocket (app: FastifyInstance, socket: BusySocket, type: ErrorType, error: ClientError): void {
  const response = socket._httpMessage
  if (response == null) refuseUnparsed(app, socket, type, error)
  // Garbage behind a whole request that is still being answered: an error now would be read as a part of that answer.
  else if (response.req.complete) response.once('finish', () => refuseOnSocket(app, socket, type, error))
  else if (response.headersSent) socket.destroy()
  else refuseBrokenBody(app, socket, response, type)
}

function classify ({ code = '' }: ClientError): ErrorType | undefined {
  if (code === 'HPE_HEADER_OVERFLOW') return 'header_too_large'
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout'
  if (code === 'HPE_INVALID_URL') return 'request_target_invalid'
  return code.startsWith('HPE_') ? 'header_invalid' : undefined
}

function refuseUnparsed (app: FastifyInstance, socket: BusySocket, type: ErrorType, { rawPacket }: ClientError): void {
  const entry = openEntry(app, socket, rawPacket)
  answerSocket(socket, type, entry)
  app.trail.close(entry, { outcome: 'refused' })
}

/** The request is with upstream already: its own entry says what became of it, and is closed when the connection is. */
function refuseBrokenBody (app: FastifyInstance, socket: BusySocket, response: ServerResponse, type: ErrorType): void {
  const entry = entryOfBody(response.req)
  answerSocket(socket, type, entry ?? openEntry(app, socket, undefined))
}

function openEntry (app: FastifyInstance, socket: { remoteAddress?: string | undefined }, rawPacket: unknown): OpenEntry {
  const [method = '', target = ''] = readRequestLine(rawPacket)
  return app.trail.open({ method, ...describeRefusedTarget(target), client_address: socket.remoteAddress ?? '' })
}

/** Method and target, if the refused bytes begin with them; nothing that isn't printable. */
function readRequestLine (rawPacket: unknown): string[] {
  const line = Buffer.isBuffer(rawPacket) ? rawPacket.toString('latin1', 0, 2048) : ''
  return /^([A-Z]{1,20}) ([!-~]{1,1900})(?= |$)/.exec(line)?.slice(1) ?? []
}

/** Fastify's router can't decode the path, so no hook ran: the target is refused here, with an entry of its own. */
function refuseUnroutable ({ raw, server }: FastifyRequest, reply: FastifyReply, origins: Origins): void {
  const entry = server.trail.open({
    method: raw.method ?? '',
    ...describeRefusedTarget(raw.url ?? ''),
    client_address: raw.socket.remoteAddress ?? '',
    client_agent: redactCredentials(raw.headers['user-agent'] ?? '')
  })
  reply.hijack()
  answerResponse(reply.raw, 'request_target_invalid', entry, { headers: origins.answerHeaders(raw.headers) })
  server.trail.close(entry, { outcome: 'refused' })
}

/**
 * Events that Node's server answers by itself, without a word in the trail, unless somebody listens.
 * CONNECT would make this an open proxy; `Expect` reaches the hooks before the client is told to go on.
 */
export function listenToServer (app: FastifyInstance): void {
  // By default Node drops what comes behind the thousandth header, unseen: 16 KiB are the limit, and all of them are judged.
  app.server.maxHeadersCount = 0
  app.server.on('connect', (request: IncomingMessage, socket: Duplex) => refuseConnect(app, request, socket as Socket))
  for (const event of ['checkContinue', 'checkExpectation']) {
    app.server.on(event, (request: IncomingMessage, response: ServerResponse) => { app.server.emit('request', request, response) })
  }
}

function refuseConnect (app: FastifyInstance, request: IncomingMessage, socket: Socket): void {
  socket.on('error', () => socket.destroy())
  const entry = app.trail.open({ method: 'CONNECT', ...describeRefusedTarget(request.url ?? ''), client_address: socket.remoteAddress ?? '' })
  answerSocket(socket, 'method_not_allowed', entry)
  app.trail.close(entry, { outcome: 'refused' })
}
