import type { ChannelEvent, Serialization } from './event-queue.ts'
import { EventQueue } from './event-queue.ts'
import type { Timers } from './timers.ts'

export type Mechanism = 'WEB_SOCKET' | 'LONG_POLLING' | 'CALLBACK'

/** Where a channel's messages go: the one open WebSocket, the one open poll, or the callback's URL. */
export interface Sink {
  /** Rejects when the message was not delivered: it goes back to the head of the queue. */
  deliver (text: string): Promise<void>
  /** Takes no further message after one. */
  once?: boolean
  /** Another sink has taken its place. */
  displaced (): void
  /** The channel is no more; `code` is the WebSocket close code. */
  closed (code: number, reason: string): void
}

/** One application's notification channel: a queue and at most one sink. */
export class Channel {
  readonly mechanism: Mechanism
  readonly serialization: Serialization
  readonly queue: EventQueue
  readonly #timers: Timers
  readonly #batchMs: number
  #sink: Sink | undefined
  #scheduled = false
  #delivering = false
  #closed = false
  /** How often a second connection has come while one was there. */
  displaced = 0

  constructor (mechanism: Mechanism, serialization: Serialization, parts: { timers: Timers, batchMs: number, maxQueueBytes: number }) {
    this.mechanism = mechanism
    this.serialization = serialization
    this.queue = new EventQueue(serialization, parts.maxQueueBytes)
    this.#timers = parts.timers
    this.#batchMs = parts.batchMs
  }

  get sink (): Sink | undefined { return this.#sink }

  push (event: ChannelEvent): void {
    if (this.#closed) return
    this.queue.push(event)
    this.#schedule()
  }

  /** The newest wins: a second connection is accepted and the first one told to go. */
  attach (sink: Sink): void {
    const before = this.#sink
    this.#sink = sink
    if (before !== undefined) this.displaced++
    before?.displaced()
    this.#schedule()
  }

  detach (sink: Sink): void {
    if (this.#sink === sink) this.#sink = undefined
  }

  close (code: number, reason: string): void {
    this.#closed = true
    const sink = this.#sink
    this.#sink = undefined
    sink?.closed(code, reason)
  }

  #schedule (): void {
    if (this.#scheduled || this.#sink === undefined || this.queue.length === 0) return
    this.#scheduled = true
    this.#timers.after(this.#batchMs, () => {
      this.#scheduled = false
      this.#flush().catch(() => {})
    })
  }

  /** One message at a time: the API sends the next chunk when the one before has been taken. */
  async #flush (): Promise<void> {
    const sink = this.#sink
    if (sink === undefined || this.#delivering) return
    const message = this.queue.take()
    if (message === undefined) return
    this.#delivering = true
    if (sink.once === true) this.detach(sink)
    await sink.deliver(message.text).catch(message.putBack)
    this.#delivering = false
    this.#schedule()
  }
}
