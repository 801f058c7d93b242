import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import { ApiError, errors } from './answer.ts'
import type { Sink } from './channel.ts'
import type { Credential } from './keys.ts'
import { splitTarget } from './router.ts'
import type { World } from './world.ts'

const maxFrameBytes = 1_048_576
const nonce = /^[A-Za-z0-9+/]{22}==$/
const keyProtocol = /^pelion_(\S+)$/

/** The upgrade endpoints: the notification channel, and two stand-ins that send every frame back. */
export class WebSockets {
  readonly #world: World
  readonly #server: WebSocketServer
  readonly #handshakes = new Set<string>()
  readonly #requestIds = new WeakMap<IncomingMessage, string>()
  readonly #alive = new Set<WebSocket>()
  readonly #open = new Map<WebSocket, Credential>()

  constructor (world: World) {
    this.#world = world
    this.#server = new WebSocketServer({ noServer: true, maxPayload: maxFrameBytes, handleProtocols: chooseProtocol })
    this.#server.on('headers', (lines, request) => lines.push(`X-Request-ID: ${this.#requestIds.get(request)}`))
    world.timers.every(world.options.pingIntervalMs, () => this.#ping())
    world.keys.onRevoked(credential => this.#drop(credential))
  }

  get open (): number { return this.#open.size }

  /** By `Authorization`, or by the subprotocol `pelion_<key>`, for browsers. */
  authenticate (request: IncomingMessage): Credential {
    const { authorization } = request.headers
    if (authorization !== undefined) return this.#world.keys.authenticate(authorization)
    const key = protocolsOf(request).map(protocol => keyProtocol.exec(protocol)?.[1]).find(found => found !== undefined)
    return key === undefined ? this.#world.keys.authenticate(undefined) : this.#world.keys.accept(key)
  }

  /** Throws an ApiError, to be answered in plain HTTP, or ends with an open socket. */
  async accept (request: IncomingMessage, socket: Duplex, head: Buffer, requestId: string): Promise<void> {
    const credential = this.authenticate(request)
    const connect = this.#endpoint(splitTarget(request.url ?? '')[0], credential)
    if (connect === undefined) throw errors.notFound()
    this.#checkHeaders(request)
    const token = credential.key
    if (this.#handshakes.has(token)) throw new ApiError(429, 'too_many_requests', 'A WebSocket handshake with this token is in progress.')
    this.#handshakes.add(token)
    await this.#world.timers.sleep(this.#world.options.handshakeMs)
    this.#handshakes.delete(token)
    if (socket.destroyed) return
    this.#requestIds.set(request, requestId)
    this.#server.handleUpgrade(request, socket, head, webSocket => {
      this.#adopt(webSocket, credential)
      connect(webSocket)
    })
  }

  #checkHeaders (request: IncomingMessage): void {
    const missing = !nonce.test(request.headers['sec-websocket-key'] ?? '') || request.headers['sec-websocket-version'] !== '13' ||
      (this.#world.options.requireOrigin && request.headers.origin === undefined)
    if (missing) throw errors.badRequest('Required header(s) missing.')
  }

  #endpoint (path: string, credential: Credential): ((webSocket: WebSocket) => void) | undefined {
    if (path === '/v2/notification/websocket-connect') {
      if (credential.kind === 'session') throw errors.forbidden()
      return webSocket => this.#connectChannel(webSocket, credential)
    }
    const device = /^\/v3(?:alpha|preview1)?\/devices\/([^/]+)\/(?:console|services\/[^/]+\/connection)$/.exec(path)?.[1]
    return device !== undefined && this.#world.population.get(device) !== undefined ? echo : undefined
  }

  /** The channel has to be registered first; a socket without one is opened and closed again with 1011. */
  #connectChannel (webSocket: WebSocket, { scope }: Credential): void {
    const channel = this.#world.channels.get(scope)
    if (channel?.mechanism !== 'WEB_SOCKET') return webSocket.close(1011, 'Channel does not exist')
    const sink: Sink = {
      deliver: async text => await send(webSocket, text),
      displaced: () => webSocket.close(1001, 'Another connection was opened'),
      closed: (code, reason) => webSocket.close(code, reason)
    }
    channel.attach(sink)
    this.#world.channels.touch(scope)
    webSocket.on('close', () => {
      channel.detach(sink)
      if (this.#world.channels.get(scope) === channel) this.#world.channels.touch(scope)
    })
  }

  #adopt (webSocket: WebSocket, credential: Credential): void {
    this.#open.set(webSocket, credential)
    this.#alive.add(webSocket)
    webSocket.on('pong', () => this.#alive.add(webSocket))
    webSocket.on('close', () => this.#open.delete(webSocket))
    webSocket.on('error', () => webSocket.terminate())
  }

  #ping (): void {
    for (const webSocket of this.#open.keys()) {
      if (!this.#alive.delete(webSocket)) webSocket.terminate()
      else webSocket.ping()
    }
  }

  #drop (credential: Credential): void {
    for (const [webSocket, owner] of this.#open) {
      if (owner === credential) webSocket.close(1008, 'Access key is no longer valid')
    }
  }

  /** Closes every socket with this code, e.g. 1012 for a restart; without one they end abruptly, as 1006. */
  closeAll (code?: number, reason = ''): void {
    for (const webSocket of this.#open.keys()) {
      if (code === undefined) webSocket.terminate()
      else webSocket.close(code, reason)
    }
  }
}

function protocolsOf (request: IncomingMessage): string[] {
  return (request.headers['sec-websocket-protocol'] ?? '').split(',').map(protocol => protocol.trim())
}

/** Never the one that holds the key: it would stand in the answer. */
function chooseProtocol (offered: Set<string>): string | false {
  return [...offered].find(protocol => !keyProtocol.test(protocol)) ?? false
}

function echo (webSocket: WebSocket): void {
  webSocket.on('message', (data, isBinary) => webSocket.send(data, { binary: isBinary }))
}

async function send (webSocket: WebSocket, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => webSocket.send(text, error => error === undefined || error === null ? resolve() : reject(error)))
}
