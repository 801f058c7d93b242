import { encode, type EventLog, type LoggedEvent, type NewEvent } from './event-log.ts'

export interface MemoryLogLimits {
  maxBytes: number
  maxAgeMs: number
}

/** What an entry costs beside its text: the objects around it, roughly. */
const entryOverheadBytes = 256

/**
 * A log in this process's memory: the newest events up to a size and an age. The newest one is always kept, however large.
 * `epoch` sets its ids apart from those of an earlier process, whose positions meant other events.
 */
export class MemoryLog implements EventLog {
  readonly #limits: MemoryLogLimits
  #epoch: string
  readonly #now: () => number
  readonly #listeners = new Set<(event: LoggedEvent) => void>()
  /** The event at position p stands at index (p - 1) % capacity; grown as needed. */
  #events: Array<LoggedEvent | undefined> = new Array(64)
  #bytes = 0
  #first = 1
  #head = 0

  constructor (limits: MemoryLogLimits, epoch: string, now: () => number) {
    this.#limits = limits
    this.#epoch = epoch
    this.#now = now
  }

  get epoch (): string { return this.#epoch }

  get head (): number { return this.#head }

  get first (): number { return this.#first }

  append ({ text, ...event }: NewEvent, at = this.#now()): void {
    if (this.#head - this.#first + 1 === this.#events.length) this.#grow()
    this.#head++
    const logged = { ...event, bytes: encode(text), position: this.#head, at }
    this.#events[this.#indexOf(this.#head)] = logged
    this.#bytes += costOf(logged)
    this.expire()
    for (const listener of this.#listeners) listener(logged)
  }

  /** Begins anew behind a position, which is not before any that it had: readers find what they missed missing. */
  restart (epoch: string, head: number): void {
    this.#epoch = epoch
    this.#events = new Array(64)
    this.#bytes = 0
    this.#head = head
    this.#first = head + 1
  }

  /** Alone, whatever came was noticed when it came. */
  knows (): boolean { return false }

  /** Drops what is too old or too much; `append` does so too. */
  expire (): void {
    const oldest = this.#now() - this.#limits.maxAgeMs
    while (this.#first < this.#head) {
      const event = this.#events[this.#indexOf(this.#first)] as LoggedEvent
      if (this.#bytes <= this.#limits.maxBytes && event.at >= oldest) return
      this.#bytes -= costOf(event)
      this.#events[this.#indexOf(this.#first)] = undefined
      this.#first++
    }
  }

  at (position: number): LoggedEvent | undefined {
    return position < this.#first || position > this.#head ? undefined : this.#events[this.#indexOf(position)]
  }

  idOf (position: number): string { return `${this.#epoch}-${position}` }

  positionOf (id: string): number | undefined {
    const [epoch, digits = ''] = id.split('-', 2)
    if (epoch !== this.#epoch || !/^[0-9]{1,15}$/.test(digits)) return undefined
    const position = Number(digits)
    return position <= this.#head ? position : undefined
  }

  onAppend (listener: (event: LoggedEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  stats () {
    return { events: this.#head - this.#first + 1, bytes: this.#bytes, oldestAt: this.at(this.#first)?.at ?? null }
  }

  #indexOf (position: number): number { return (position - 1) % this.#events.length }

  #grow (): void {
    const grown = new Array<LoggedEvent | undefined>(this.#events.length * 2)
    for (let position = this.#first; position <= this.#head; position++) {
      grown[(position - 1) % grown.length] = this.#events[this.#indexOf(position)]
    }
    this.#events = grown
  }
}

function costOf (event: LoggedEvent): number {
  return event.bytes.length + entryOverheadBytes
}
