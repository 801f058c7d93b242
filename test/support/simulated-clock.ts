import type { Clock } from '../../src/team/limits.ts'

/** A clock that only moves when told to: calls back what is due, in order of time. */
export class SimulatedClock implements Clock {
  #nowMs = 0
  readonly #startMs: number
  #timers: Array<{ atMs: number, callback: () => void }> = []

  /** @param start wall time at monotonic zero */
  constructor (start = '2026-11-22T00:00:00Z') {
    this.#startMs = Date.parse(start)
  }

  nowMs (): number { return this.#nowMs }
  wallMs (): number { return this.#startMs + this.#nowMs }

  delay (delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback }
    this.#timers.push(timer)
    return () => { this.#timers = this.#timers.filter(other => other !== timer) }
  }

  get timers (): number { return this.#timers.length }

  advance (ms: number): void {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined || next.atMs > untilMs) break
      this.#timers = this.#timers.filter(other => other !== next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.callback()
    }
    this.#nowMs = untilMs
  }
}
