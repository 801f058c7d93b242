import type { OpenEntry, OutcomeKind } from './record.ts'

/**
 * How a request ended. What a room said of it stands, but for an answer that was on its way when the client left.
 * `finished`: the whole answer was handed to the operating system.
 */
export function judgeOutcome (entry: Pick<OpenEntry, 'outcome' | 'attempts' | 'error_type' | 'status' | 'path'>, finished: boolean): OutcomeKind {
  if (!finished && (entry.outcome === 'open' || entry.outcome === 'answered')) return 'client_aborted'
  if (entry.outcome !== 'open') return entry.outcome
  if (entry.attempts > 0) return 'answered'
  if (entry.error_type !== null || (entry.status ?? 0) >= 400) return 'refused'
  return 'own'
}

/** To microseconds: more digits are noise, and they cost space. */
export function roundMs (ms: number): number {
  return Math.round(ms * 1000) / 1000
}
