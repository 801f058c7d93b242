import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { InFlight, type Placed } from '../in-flight.ts'

interface OpenAnswer extends Placed { response: ServerResponse }

const kAnswer = Symbol('izuma-proxy.ops.answer')

type TrackedResponse = ServerResponse & { [kAnswer]?: OpenAnswer }

/**
 * Who is connected, and which answers are still being given: what a drain has to know. Node's own
 * `closeIdleConnections` takes a connection that never sent a byte for a busy one, and ours must not wait for it.
 */
export class Connections {
  readonly #sockets = new Set<Socket>()
  readonly #upgraded = new Set<Socket>()
  readonly #answers = new InFlight<OpenAnswer>()
  readonly #idleListeners: Array<() => void> = []
  readonly #onClosed: (this: ServerResponse) => void
  #draining = false

  constructor () {
    const forget = this.#forget
    this.#onClosed = function () { forget(this) }
  }

  /** Call before the server listens. */
  watch (server: Server): void {
    const add = (socket: Socket) => remember(this.#sockets, socket)
    server.on('connection', add)
    server.on('secureConnection', add)
  }

  /** Call when whoever serves upgrades has begun to listen for them: with no such listener Node has none to offer. */
  watchUpgrades (server: Server): void {
    if (server.listenerCount('upgrade') === 0) return
    server.prependListener('upgrade', (_request, socket) => {
      remember(this.#upgraded, socket as Socket)
      socket.once('close', this.#settle)
    })
  }

  /** An answer begins. On the hot path: a place in a list and one listener, the same for all. */
  add (response: TrackedResponse): void {
    if (this.#draining) response.shouldKeepAlive = false
    const answer = { response, place: -1 }
    response[kAnswer] = answer
    this.#answers.add(answer)
    response.on('close', this.#onClosed)
  }

  readonly #forget = ({ [kAnswer]: answer }: TrackedResponse) => {
    if (answer !== undefined) this.#answers.delete(answer)
    if (this.#draining) setImmediate(this.#settle)
  }

  get openAnswers (): number { return this.#answers.size }
  get openUpgrades (): number { return this.#upgraded.size }
  get openSockets (): number { return this.#sockets.size }

  /** Tells everybody who waits for an answer that it is the last on its connection, and closes all other connections. */
  beginDrain (): void {
    this.#draining = true
    for (const { response } of this.#answers.list()) response.shouldKeepAlive = false
    this.#settle()
  }

  /** Resolves when the last answer and the last upgraded socket are done; false if that took longer. */
  async whenDone (timeoutMs: number): Promise<boolean> {
    if (this.#isDone) return true
    return await new Promise(resolve => {
      const timer = setTimeout(() => { resolve(false) }, timeoutMs)
      this.#idleListeners.push(() => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  }

  closeAll (): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  get #isDone (): boolean { return this.#answers.size === 0 && this.#upgraded.size === 0 }

  readonly #settle = () => {
    if (!this.#draining) return
    this.#closeIdle()
    if (this.#isDone) for (const listener of this.#idleListeners.splice(0)) listener()
  }

  #closeIdle (): void {
    const busy = new Set<Socket | string>()
    for (const socket of [...this.#upgraded, ...this.#answers.list().map(({ response }) => response.req.socket)]) {
      busy.add(socket)
      busy.add(peerOf(socket))
    }
    for (const socket of this.#sockets) {
      if (!busy.has(socket) && !busy.has(peerOf(socket)) && !socket.writableEnded) socket.destroySoon()
    }
  }
}

function remember (set: Set<Socket>, socket: Socket): void {
  set.add(socket)
  socket.once('close', () => { set.delete(socket) })
}

/** A TLS socket and the TCP socket under it are two objects of one connection: the peer is what they share. */
function peerOf (socket: Socket): string | Socket {
  return socket.remotePort === undefined ? socket : `${socket.remoteAddress} ${socket.remotePort}`
}
