import type { Duplex } from 'node:stream'
import { closeFrame, controlFrame, FrameScanner } from './frames.ts'
import type { BodyTransform } from './forwarding.ts'

export interface TunnelEnd {
  closeCode: number | null
  /** Client left without a close frame, upstream did, or both said goodbye. */
  by: 'client' | 'upstream' | 'proxy' | 'both'
}

export interface TunnelOptions {
  client: Duplex
  upstream: Duplex
  /** Masks our own keys in what comes down; lengths stay. */
  mask: BodyTransform | undefined
  /** A peer from which nothing came for one interval is pinged, for two is gone. */
  pingIntervalMs: number
  onBytes (direction: 'in' | 'out', length: number): void
  onEnd (end: TunnelEnd): void
}

/**
 * Two WebSocket peers joined after both handshakes: bytes pass as they come, with the sockets' own backpressure, so that
 * what waits in memory is bounded by their high-water marks. Frames are followed only to inject pings and closes between them.
 */
export class Tunnel {
  readonly #options: TunnelOptions
  readonly #up: Direction
  readonly #down: Direction
  readonly #timer: NodeJS.Timeout
  #closedBy: TunnelEnd['by'] | undefined
  #ended = false

  constructor (options: TunnelOptions) {
    const { client, upstream, mask, onBytes, pingIntervalMs } = options
    this.#options = options
    this.#up = new Direction(client, upstream, true, undefined, length => onBytes('in', length))
    this.#down = new Direction(upstream, client, false, mask, length => onBytes('out', length))
    client.once('close', () => this.#end('client'))
    upstream.once('close', () => this.#end('upstream'))
    this.#timer = setInterval(() => this.#beat(), pingIntervalMs).unref()
  }

  /** Ends both sides with a close frame of ours; whoever does not answer it within two seconds is cut off. */
  close (code: number, reason: string): void {
    if (this.#closedBy !== undefined) return
    this.#closedBy = 'proxy'
    this.#down.inject(closeFrame(code, reason, false))
    this.#up.inject(closeFrame(code, reason, true))
    this.#down.ownCloseCode = code
    setTimeout(() => this.#destroy(), 2_000).unref()
  }

  /** Half-open peers are found by silence: a ping has to bring something back before the next beat. */
  #beat (): void {
    for (const direction of [this.#up, this.#down]) {
      if (direction.silentBeats >= 2) return this.#destroy()
    }
    this.#up.silentBeats++
    this.#down.silentBeats++
    this.#down.inject(controlFrame('ping', Buffer.alloc(0), false))
    this.#up.inject(controlFrame('ping', Buffer.alloc(0), true))
  }

  #end (by: 'client' | 'upstream'): void {
    if (this.#ended) return
    this.#ended = true
    clearInterval(this.#timer)
    const closeCode = this.#down.ownCloseCode ?? this.#down.closeCode ?? this.#up.closeCode
    this.#options.onEnd({ closeCode, by: this.#closedBy ?? (closeCode === null ? by : 'both') })
    this.#finish(by === 'client' ? this.#options.upstream : this.#options.client)
  }

  /** What is already on its way to the other side may still arrive, for a moment. */
  #finish (socket: Duplex): void {
    if (socket.destroyed) return
    socket.end()
    setTimeout(() => socket.destroy(), 2_000).unref()
  }

  #destroy (): void {
    this.#options.client.destroy()
    this.#options.upstream.destroy()
  }
}

/** One way of the tunnel. */
class Direction {
  silentBeats = 0
  ownCloseCode: number | null = null
  readonly #scanner = new FrameScanner()
  readonly #to: Duplex
  readonly #mask: BodyTransform | undefined
  #waiting: Buffer[] = []

  constructor (from: Duplex, to: Duplex, _towardsUpstream: boolean, mask: BodyTransform | undefined, onBytes: (length: number) => void) {
    this.#to = to
    this.#mask = mask
    from.on('error', () => {})
    from.on('data', (chunk: Buffer) => {
      this.silentBeats = 0
      onBytes(chunk.length)
      if (!this.#pass(chunk)) {
        from.pause()
        to.once('drain', () => from.resume())
      }
    })
    from.once('end', () => {
      const tail = this.#mask?.end()
      if (tail !== undefined && tail.length > 0) to.write(tail)
      to.end()
    })
  }

  get closeCode (): number | null { return this.#scanner.closeCode }

  /** Puts a frame of our own between two frames of the peer's, now or as soon as one ends. */
  inject (frame: Buffer): void {
    if (this.#to.destroyed || this.#to.writableEnded || this.#to.writableNeedDrain) return
    if (this.#scanner.atBoundary) this.#to.write(frame)
    else if (this.#waiting.length < 2) this.#waiting.push(frame)
  }

  #pass (chunk: Buffer): boolean {
    if (this.#to.destroyed || this.#to.writableEnded) return true
    const out = this.#mask === undefined ? chunk : this.#mask.push(chunk)
    this.#scanner.push(out)
    const flowing = out.length === 0 || this.#to.write(out)
    if (this.#waiting.length > 0 && this.#scanner.atBoundary) {
      for (const frame of this.#waiting.splice(0)) this.#to.write(frame)
    }
    return flowing
  }
}
