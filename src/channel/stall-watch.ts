/** Tells a reader that takes nothing from one that is slow. Times in milliseconds of a monotonic clock. */
export class StallWatch {
  readonly #limitMs: number
  #last: { bytes: number, since: number } | undefined

  constructor (limitMs: number) { this.#limitMs = limitMs }

  /** Called now and then with what is still under way to the reader; 0 when nothing holds it up. True once that has not shrunk for too long. */
  isStalled (waitingBytes: number, nowMs: number): boolean {
    if (waitingBytes === 0) this.#last = undefined
    else if (this.#last === undefined || waitingBytes !== this.#last.bytes) this.#last = { bytes: waitingBytes, since: nowMs }
    return this.#last !== undefined && nowMs - this.#last.since >= this.#limitMs
  }
}
