interface Place { segment: number, bytes: number }

/**
 * How long the oldest record that is on the journal and not in the store has waited, within a moment: under steady load there is always
 * something new to store, which is no falling behind.
 */
export class Lag {
  /** All before `upTo` was written by `sinceMs`. */
  #oldest: { upTo: Place, sinceMs: number } | undefined
  #newest: Place | undefined

  noteWritten (place: Place, nowMs: number): void {
    this.#newest = place
    this.#oldest ??= { upTo: place, sinceMs: nowMs }
  }

  noteStored (place: Place, nowMs: number): void {
    if (this.#oldest === undefined || isBefore(place, this.#oldest.upTo)) return
    const isLeft = this.#newest !== undefined && isBefore(place, this.#newest)
    this.#oldest = isLeft ? { upTo: this.#newest as Place, sinceMs: nowMs } : undefined
  }

  noteAllStored (): void {
    this.#oldest = undefined
  }

  ms (nowMs: number): number {
    return this.#oldest === undefined ? 0 : Math.round(nowMs - this.#oldest.sinceMs)
  }
}

function isBefore (one: Place, other: Place): boolean {
  return one.segment < other.segment || (one.segment === other.segment && one.bytes < other.bytes)
}
