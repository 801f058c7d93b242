/** Something that hears the log: a WebSocket, an event stream, a poll. */
export interface Listener {
  readonly kind: ListenerKind
  readonly memberName: string
  /** Sends what may be sent now. True if it stopped only to let others have their turn. */
  deliver (): boolean
  /** Called a few times a second: pings, stalls. */
  tick (nowMs: number): void
  /** Bytes kept for this listener alone. */
  readonly ownBytes: number
  /** It was too slow, and ended for that. */
  readonly overflowed: boolean
  end (reason: EndReason): void
}

export type ListenerKind = 'websocket' | 'event_stream' | 'long_poll'

export type EndReason =
  | 'draining' // the proxy shuts down
  | 'revoked' // the member's token is no longer valid
  | 'deleted' // the member deleted its channel
  | 'stalled' // it doesn't read
  | 'unavailable' // the upstream channel can't be had

/** Listeners served before the event loop gets its turn: bounds how long a message to everyone holds up other requests. */
const turnSize = 32

/** Brings the log to its listeners: a turn of the event loop for every few of them, round and round while there is more. */
export class FanOut {
  readonly listeners = new Set<Listener>()
  #due = new Set<Listener>()
  #scheduled = false

  add (listener: Listener): void {
    this.listeners.add(listener)
    this.wake(listener)
  }

  remove (listener: Listener): void {
    this.listeners.delete(listener)
    this.#due.delete(listener)
  }

  wake (listener: Listener): void {
    this.#due.add(listener)
    this.#schedule()
  }

  wakeAll (): void {
    if (this.#due.size === this.listeners.size) return
    for (const listener of this.listeners) this.#due.add(listener)
    this.#schedule()
  }

  tick (nowMs: number): void {
    for (const listener of this.listeners) listener.tick(nowMs)
  }

  end (reason: EndReason): void {
    for (const listener of this.listeners) listener.end(reason)
  }

  count (kind: ListenerKind): number {
    let count = 0
    for (const listener of this.listeners) if (listener.kind === kind) count++
    return count
  }

  /** Ends those that hold the most, until what is kept for single listeners fits again. */
  limitOwnBytes (maxBytes: number): void {
    let total = 0
    for (const listener of this.listeners) total += listener.ownBytes
    if (total <= maxBytes) return
    for (const listener of [...this.listeners].sort((a, b) => b.ownBytes - a.ownBytes)) {
      if (total <= maxBytes) return
      total -= listener.ownBytes
      listener.end('stalled')
    }
  }

  #schedule (): void {
    if (this.#scheduled || this.#due.size === 0) return
    this.#scheduled = true
    setImmediate(() => this.#run())
  }

  #run (): void {
    this.#scheduled = false
    let served = 0
    for (const listener of this.#due) {
      this.#due.delete(listener)
      // Set iteration visits what is added again at the end: whoever has more waits until the others had their turn.
      if (listener.deliver()) this.#due.add(listener)
      if (++served >= turnSize) break
    }
    this.#schedule()
  }
}
