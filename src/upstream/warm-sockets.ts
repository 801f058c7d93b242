import type { Socket } from 'node:net'

export type Dial = (done: (error: Error | null, socket: Socket | null) => void) => void

/** Between two attempts to refill after a failure or after upstream closed an unused connection. */
const refillDelayMs = 1_000
const maxRefillDelayMs = 60_000

/**
 * Verified connections opened ahead, so that a request after start or after a silence doesn't wait for TCP and TLS.
 * A connection that upstream closes while it waits here is replaced, more and more slowly while that keeps happening.
 */
export class WarmSockets {
  readonly #dial: Dial
  readonly #wanted: number
  readonly #ready = new Set<Socket>()
  #dialling = 0
  #delayMs = refillDelayMs
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor (dial: Dial, wanted: number) {
    this.#dial = dial
    this.#wanted = wanted
    this.#refill()
  }

  get size (): number { return this.#ready.size }

  /** A connection that can be written to at once, or `undefined`. */
  take (): Socket | undefined {
    for (const socket of this.#ready) {
      this.#release(socket)
      this.#refillSoon()
      // Bytes before any request are nobody's answer; such a connection must never serve one.
      if (!socket.destroyed && socket.readableLength === 0 && socket.writable) return socket
      socket.destroy()
    }
    return undefined
  }

  close (): void {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const socket of this.#ready) socket.destroy()
    this.#ready.clear()
  }

  #refill (): void {
    while (!this.#closed && this.#ready.size + this.#dialling < this.#wanted) {
      this.#dialling++
      this.#dial((error, socket) => {
        this.#dialling--
        if (error || !socket) this.#refillLater()
        else this.#keep(socket)
      })
    }
  }

  #keep (socket: Socket): void {
    if (this.#closed) return void socket.destroy()
    this.#ready.add(socket)
    socket.on('error', ignore).once('close', this.#onLost).once('data', destroyThis)
    socket.unref()
  }

  #release (socket: Socket): void {
    this.#ready.delete(socket)
    socket.pause().off('error', ignore).off('close', this.#onLost).off('data', destroyThis)
    socket.ref()
    this.#delayMs = refillDelayMs
  }

  readonly #onLost = (): void => {
    for (const socket of this.#ready) if (socket.destroyed) this.#ready.delete(socket)
    this.#refillLater()
  }

  #refillSoon (): void {
    setImmediate(() => this.#refill())
  }

  #refillLater (): void {
    if (this.#closed || this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#refill()
    }, this.#delayMs).unref()
    this.#delayMs = Math.min(this.#delayMs * 2, maxRefillDelayMs)
  }
}

function ignore (): void {}

function destroyThis (this: Socket): void { this.destroy() }
