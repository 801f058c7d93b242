import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { Acknowledgement } from './acknowledgement.ts'
import type { EndReason, Listener } from './fan-out.ts'
import type { LogReader } from './log-reader.ts'
import { StallWatch } from './stall-watch.ts'

export interface ListenerLimits {
  /** Bytes under way to one listener beyond which nothing more is handed to its socket; the rest waits in the shared log. */
  maxBufferedBytes: number
  /** A socket that takes nothing for this long is closed. */
  stallMs: number
  pingMs: number
}

/** Messages, or pieces of one, sent in one go before the next listener has its turn. */
const maxBurst = 64
/** Longer messages go out as fragments (RFC 6455 §5.4), so that what is under way stays small and a slow reader's progress is seen. */
const maxFragmentBytes = 128 * 1024
const open = 1

const closeCodes: Record<EndReason, [code: number, reason: string]> = {
  draining: [1001, 'the proxy is shutting down'],
  revoked: [1008, 'the member token is no longer valid'],
  deleted: [1000, 'the channel was deleted'],
  stalled: [1013, 'too slow: connect again to go on'],
  unavailable: [1011, 'the notification channel cannot be had: see /_proxy/status']
}

/** A member's virtual channel on one WebSocket. */
export class WebSocketListener implements Listener {
  readonly kind = 'websocket'
  readonly memberName: string
  readonly #webSocket: WebSocket
  readonly #socket: Duplex
  readonly #reader: LogReader
  readonly #limits: ListenerLimits
  readonly #acknowledgement: Acknowledgement
  readonly #stall: StallWatch
  sentBytes = 0
  #isPrivate = false
  /** A message of which a part has been sent. */
  #partial: { bytes: Buffer, sent: number } | undefined
  /** The code we closed with, if we did. */
  closeCode: number | undefined

  constructor (memberName: string, webSocket: WebSocket, socket: Duplex, reader: LogReader, limits: ListenerLimits, wake: (listener: Listener) => void) {
    this.memberName = memberName
    this.#webSocket = webSocket
    this.#socket = socket
    this.#reader = reader
    this.#limits = limits
    this.#stall = new StallWatch(limits.stallMs)
    this.#acknowledgement = new Acknowledgement(reader.position, performance.now())
    socket.on('drain', () => wake(this))
    webSocket.on('pong', payload => this.#acknowledgement.received(Number(payload.toString('latin1'))))
    // A client has nothing to say here; what it sends anyway is read and dropped, within ws's limits.
    webSocket.on('error', () => {})
  }

  get ownBytes (): number {
    if (!this.#isPrivate) return 0
    return this.#webSocket.bufferedAmount + (this.#partial?.bytes.length ?? 0)
  }

  get overflowed (): boolean { return this.closeCode === 1013 }

  deliver (): boolean {
    if (this.#webSocket.readyState !== open || this.#isBlocked()) return false
    this.#socket.cork()
    let more = true
    for (let sent = 0; more && sent < maxBurst; sent++) more = this.#sendNext()
    this.#pingIfDue(performance.now())
    this.#socket.uncork()
    return more
  }

  tick (): void {
    if (this.#webSocket.readyState !== open) return
    const now = performance.now()
    if (this.#stall.isStalled(this.#isBlocked() ? this.#webSocket.bufferedAmount : 0, now)) return this.end('stalled')
    // The peer is gone: no close frame would reach it. While it is blocked, the stall limit decides.
    if (!this.#isBlocked() && this.#acknowledgement.silentMs(now) >= this.#limits.pingMs) return this.#webSocket.terminate()
    this.#pingIfDue(now)
  }

  end (reason: EndReason): void { this.#close(...closeCodes[reason]) }

  /** From where the member's next connection goes on, once this one has closed with that code. */
  positionAfter (closeCode: number): number {
    // The client has answered our close frame, so it got everything before it.
    if (this.closeCode !== undefined && closeCode !== 1006) return this.#reader.position
    return this.#acknowledgement.arrived(this.#reader.position)
  }

  /** False when there is nothing more to send for now. */
  #sendNext (): boolean {
    if (this.#partial !== undefined) return this.#sendFragment(this.#partial)
    const delivery = this.#reader.next()
    if (delivery === undefined) return false
    if (delivery.kind === 'gap') {
      this.#closeAtGap(delivery.position, delivery.reason)
      return false
    }
    this.#isPrivate = delivery.isPrivate
    this.#acknowledgement.sent(delivery.position, performance.now())
    return this.#sendFragment({ bytes: delivery.bytes, sent: 0 })
  }

  #sendFragment ({ bytes, sent }: { bytes: Buffer, sent: number }): boolean {
    const end = Math.min(bytes.length, sent + maxFragmentBytes)
    const fin = end === bytes.length
    this.#webSocket.send(sent === 0 && fin ? bytes : bytes.subarray(sent, end), { binary: false, fin })
    this.#partial = fin ? undefined : { bytes, sent: end }
    this.sentBytes += end - sent
    return !this.#isBlocked()
  }

  /** The gap itself counts as heard, or the next connection would run into it again. */
  #closeAtGap (position: number, reason: string): void {
    this.#acknowledgement.skipTo(position)
    if (reason === 'overflow') this.#close(1013, 'events were lost, the queue overflowed: connect again to go on')
    else this.#close(1012, 'events may have been lost: connect again to go on')
  }

  #close (code: number, reason: string): void {
    this.closeCode ??= code
    this.#webSocket.close(code, reason)
  }

  #isBlocked (): boolean { return this.#webSocket.bufferedAmount > this.#limits.maxBufferedBytes }

  /** Not amid a message: the pong would say that it has arrived whole. */
  #pingIfDue (now: number): void {
    if (this.#partial !== undefined) return
    const position = this.#acknowledgement.due(now, this.#limits.pingMs)
    if (position !== undefined) this.#webSocket.ping(String(position))
  }
}
