import { performance } from 'node:perf_hooks'
import type { HealthReport } from '../decorations.ts'

const tickMs = 250
const memoryMs = 10_000
/** Shorter pauses are ordinary: a collection, a burst, a busy machine. */
const blockedMs = 1000

export interface EventLoopWatch {
  /** Longest pause of the event loop in the last ten seconds, milliseconds. */
  worstMs (): number
  report (): HealthReport
  stop (): void
}

/**
 * Notices pauses of the event loop by a timer that comes late. Whoever asks right after a pause may be served
 * before that timer, so the wait still going on counts too. (`monitorEventLoopDelay` lacks exactly that.)
 * After a pause the report stays degraded for ten seconds, and ready: what is over is no reason to take traffic
 * away, and while it lasts no probe is answered anyway.
 */
export function watchEventLoop (): EventLoopWatch {
  let pauses: Array<{ at: number, ms: number }> = []
  let tickedAt = performance.now()
  const tick = () => {
    const now = performance.now()
    const ms = now - tickedAt - tickMs
    if (ms > tickMs) pauses.push({ at: now, ms })
    pauses = pauses.filter(({ at }) => now - at < memoryMs)
    tickedAt = now
  }
  const timer = setInterval(tick, tickMs).unref()
  const worstMs = () => Math.round(Math.max(0, performance.now() - tickedAt - tickMs, ...pauses.map(({ ms }) => ms)))
  return { worstMs, report: () => describe(worstMs()), stop: () => { clearInterval(timer) } }
}

function describe (worstMs: number): HealthReport {
  return { state: worstMs >= blockedMs ? 'degraded' : 'ok', ready: true, details: { longest_pause_ms: worstMs, within_seconds: memoryMs / 1000 } }
}
