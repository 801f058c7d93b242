import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import type { WebSocketDial } from '../decorations.ts'
import { readRetryAfter } from './channel-registration.ts'
import type { LinkEvent } from './link-machine.ts'

export const connectPath = '/v2/notification/websocket-connect'

/** Long messages come in many frames; beyond this somebody is wasting our memory. */
const maxFragments = 16_384
/** After our close frame the API gets this long to answer it. */
const closeTimeoutMs = 1_000

export interface SocketOptions {
  dial: WebSocketDial
  pingMs: number
  handshakeMs: number
  maxMessageBytes: number
  receive: (data: Buffer, isBinary: boolean) => void
  /** With the status of the upgrade: 101, or what it was refused with. */
  answered: (status: number) => void
  failed: (error: Error) => void
  /** Called once, when all is over: with what the state machine is to be told, and the close code. */
  ended: (event: LinkEvent, code: number) => void
}

/** One connection to the key's notification channel: dialled, watched, and told of exactly once when it ends. */
export class UpstreamSocket {
  readonly #options: SocketOptions
  readonly #webSocket: WebSocket
  #openedAt: number | undefined
  #refused: LinkEvent | undefined
  #liveness: NodeJS.Timeout | undefined

  constructor (options: SocketOptions) {
    this.#options = options
    const { dial: { origin, headers, tls }, handshakeMs, maxMessageBytes } = options
    this.#webSocket = new WebSocket(origin + connectPath, {
      ...tls,
      headers,
      // The reference marks it required.
      origin: origin.replace(/^ws/, 'http'),
      perMessageDeflate: false,
      handshakeTimeout: handshakeMs,
      maxPayload: maxMessageBytes,
      maxFragments,
      followRedirects: false
    })
    this.#listen()
  }

  /** In good order: the API keeps the channel and queues. */
  close (): void {
    this.#webSocket.close(1000)
    setTimeout(() => this.#webSocket.terminate(), closeTimeoutMs).unref()
  }

  /** For one that is still being dialled. */
  abandon (): void {
    if (this.#webSocket.readyState === WebSocket.CONNECTING) this.#webSocket.terminate()
  }

  #listen (): void {
    const { receive, answered, failed } = this.#options
    this.#webSocket.on('upgrade', response => { this.#liveness = this.#watch(response) })
    this.#webSocket.on('open', () => {
      this.#openedAt = performance.now()
      answered(101)
    })
    this.#webSocket.on('message', receive)
    this.#webSocket.on('unexpected-response', (request, response) => {
      this.#refused = { type: 'refused', status: response.statusCode ?? 0, retryAfterMs: readRetryAfter(response.headers['retry-after']) }
      answered(response.statusCode ?? 0)
      response.resume()
      request.destroy()
      this.#webSocket.terminate()
    })
    this.#webSocket.on('error', error => { if (this.#refused === undefined) failed(error) })
    this.#webSocket.on('close', code => this.#end(code))
  }

  #end (code: number): void {
    clearInterval(this.#liveness)
    const event: LinkEvent = this.#openedAt === undefined
      ? this.#refused ?? { type: 'failed' }
      : { type: 'closed', code, openMs: performance.now() - this.#openedAt }
    this.#options.ended(event, code)
  }

  /** Pings, and cuts the connection off when nothing at all has come for a whole interval after one: half open. */
  #watch (response: IncomingMessage): NodeJS.Timeout {
    let received = -1
    return setInterval(() => {
      const { bytesRead } = response.socket
      if (bytesRead === received) return this.#webSocket.terminate()
      received = bytesRead
      if (this.#webSocket.readyState === WebSocket.OPEN) this.#webSocket.ping()
    }, this.#options.pingMs)
  }
}
