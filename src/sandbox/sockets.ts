import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { Ending, RawAnswer } from './faults.ts'
import type { Timers } from './timers.ts'

interface Connection { number: number, raw: Socket }

/** The connections of the sandbox, and what can be done to them below HTTP. */
export class Sockets {
  readonly #raw = new Set<Socket>()
  readonly #byPeer = new Map<string, Connection>()
  /** TCP connections so far. */
  opened = 0
  /** TLS handshakes that came to an end. */
  secured = 0

  constructor (server: Server) {
    server.on('connection', (raw: Socket) => this.#add(raw))
    server.on('secureConnection', () => { this.secured++ })
  }

  get open (): number { return this.#raw.size }

  /** 1 for the first connection; 0 when it is gone. */
  numberOf (socket: Duplex): number { return this.#find(socket)?.number ?? 0 }

  /** Ends all connections; with `reset` by RST. */
  drop (reset = false): void {
    for (const raw of this.#raw) {
      if (reset) raw.resetAndDestroy()
      else raw.destroy()
    }
  }

  /** Writes on the TLS connection past the HTTP server. */
  async write (socket: Duplex, { parts, ending }: RawAnswer, timers: Timers): Promise<void> {
    for (const [index, part] of parts.entries()) {
      if (index > 0) await timers.sleep(5)
      if (socket.destroyed) return
      await new Promise(resolve => socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part, resolve))
    }
    this.#finish(socket, ending)
  }

  #finish (socket: Duplex, ending: Ending): void {
    if (ending === 'end') socket.end()
    if (ending === 'reset') this.#find(socket)?.raw.resetAndDestroy()
  }

  #add (raw: Socket): void {
    const peer = peerOf(raw)
    this.#raw.add(raw)
    this.#byPeer.set(peer, { number: ++this.opened, raw })
    raw.on('close', () => {
      this.#raw.delete(raw)
      this.#byPeer.delete(peer)
    })
    raw.on('error', () => {})
  }

  #find (socket: Duplex): Connection | undefined { return this.#byPeer.get(peerOf(socket as TLSSocket)) }
}

/** A TLS socket does not give away the TCP socket below it, but both have the same peer. */
function peerOf (socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}
