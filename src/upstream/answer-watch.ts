import { errors } from 'undici'
import { InFlight, type Placed } from '../in-flight.ts'
import type { TimeLimits } from './time-limits.ts'

/** An exchange that waits for upstream. */
export interface Waiting extends Placed {
  /** Monotonic milliseconds; `Infinity` while it isn't upstream that keeps it waiting. */
  deadlineMs: number
  /** Has the answer's head come? */
  readonly isReading: boolean
  expire (error: Error): void
}

/** Limits hold to this much. */
const lookIntervalMs = 250

/**
 * Looks after every exchange that waits for upstream, with one timer for all. undici would make up to three timers for each
 * request, which stay in memory for a second after they were cleared: a fifth of the proxy's time under load, in collecting them.
 */
export class AnswerWatch {
  readonly #waiting = new InFlight<Waiting>()
  readonly #timer: NodeJS.Timeout
  #nowMs = performance.now()

  constructor () {
    this.#timer = setInterval(() => this.#look(), lookIntervalMs).unref()
  }

  /** From now on, until `remove`, it has `limitMs` for the next step; 0 = all the time it likes. */
  await (exchange: Waiting, limitMs: number): void {
    // The clock is read once an interval: a limit is never short, and at most two intervals long.
    exchange.deadlineMs = limitMs === 0 ? Infinity : this.#nowMs + limitMs + lookIntervalMs
    this.#waiting.add(exchange)
  }

  remove (exchange: Waiting): void { this.#waiting.delete(exchange) }

  close (): void { clearInterval(this.#timer) }

  #look (): void {
    const nowMs = performance.now()
    const wasBlocked = nowMs - this.#nowMs > 3 * lookIntervalMs
    this.#nowMs = nowMs
    // What came while this process stood still hasn't been read yet: its exchange isn't late, we are.
    if (wasBlocked) return
    for (const exchange of this.#waiting.list()) {
      if (exchange.deadlineMs > nowMs) continue
      this.#waiting.delete(exchange)
      exchange.expire(exchange.isReading ? new errors.BodyTimeoutError() : new errors.HeadersTimeoutError())
    }
  }
}

/** undici's own limits, switched off. */
export const unwatched: { [limit in keyof TimeLimits]: 0 } = { headersTimeout: 0, bodyTimeout: 0 }
