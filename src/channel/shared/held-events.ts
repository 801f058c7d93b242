import type { NewEvent } from '../event-log.ts'

/** An event of this instance on its way into the stream. */
export interface HeldEvent {
  /** Names it among all events of all instances, so that it is known when it comes back on the stream. */
  mark: string
  event: NewEvent
  /** Milliseconds since the epoch. */
  at: number
}

/** What an event costs beside its text, roughly. */
const overheadBytes = 256

/**
 * Events that this instance took from the API and that the stream doesn't have yet, oldest first. Bounded in bytes: while
 * Redis is away for too long the oldest are dropped, and a gap stands in their place.
 */
export class HeldEvents {
  readonly #maxBytes: number
  readonly #instance: string
  #events: HeldEvent[] = []
  #seq = 0
  /** So many from the front are on their way. */
  #sent = 0
  bytes = 0
  dropped = 0

  constructor (instance: string, maxBytes: number) {
    this.#instance = instance
    this.#maxBytes = maxBytes
  }

  get size (): number { return this.#events.length }

  add (event: NewEvent, at: number): void {
    this.#events.push({ mark: `${this.#instance}:${++this.#seq}`, event, at })
    this.bytes += costOf(event)
    if (this.bytes > this.#maxBytes && this.#events.length > 1) this.#dropOldest(at)
  }

  /** The next that are not on their way, as many as make up one write. From now on they are. */
  take (maxBytes: number, maxEvents: number): HeldEvent[] {
    let bytes = 0
    const batch: HeldEvent[] = []
    for (const held of this.#events.slice(this.#sent, this.#sent + maxEvents)) {
      bytes += costOf(held.event)
      if (batch.length > 0 && bytes > maxBytes) break
      batch.push(held)
    }
    this.#sent += batch.length
    return batch
  }

  /** Nobody knows whether those on their way have arrived: they go again unless they are confirmed before. */
  recall (): void { this.#sent = 0 }

  /** The stream has everything up to that one. */
  confirm (mark: string): void {
    const confirmed = this.#events.splice(0, this.#events.findIndex(held => held.mark === mark) + 1)
    for (const { event } of confirmed) this.bytes -= costOf(event)
    this.#sent = Math.max(0, this.#sent - confirmed.length)
  }

  /** Rewrites the texts, or drops (`null`) those of which nothing is left. Only while none is on its way. */
  rewrite (change: (text: string) => string | null): void {
    this.#events = this.#events.flatMap(held => {
      const text = held.event.text === '' ? '' : change(held.event.text)
      return text === null ? [] : [{ ...held, event: { ...held.event, text } }]
    })
    this.bytes = this.#events.reduce((bytes, { event }) => bytes + costOf(event), 0)
  }

  /** Of those that are not on their way. */
  #dropOldest (at: number): void {
    while (this.bytes > this.#maxBytes && this.#events.length > this.#sent + 1) {
      const [oldest] = this.#events.splice(this.#sent, 1) as [HeldEvent]
      this.bytes -= costOf(oldest.event)
      if (oldest.event.gap !== 'overflow') this.dropped++
    }
    const gap: NewEvent = { to: null, text: '', gap: 'overflow' }
    this.#events.splice(this.#sent, 0, { mark: `${this.#instance}:${++this.#seq}`, event: gap, at })
    this.bytes += costOf(gap)
  }
}

function costOf ({ text }: NewEvent): number { return Buffer.byteLength(text) + overheadBytes }
