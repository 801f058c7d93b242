import { createIdMaker, createTimestamper } from './identifiers.ts'
import type { Intent, OpenEntry, OutcomeKind, RecordKind } from './record.ts'

/** The two clocks an entry needs: wall time to say when, monotonic time to say how long. Tests bring their own. */
export interface Clock {
  /** Whole milliseconds since 1970. May jump. */
  now (): number
  /** Milliseconds from any start, never backwards. */
  monotonic (): number
}

export const systemClock: Clock = { now: Date.now, monotonic: () => performance.now() }

/** All fields are set here, in one order, so that every entry has the same shape for the engine. */
class Entry implements OpenEntry {
  id: string
  started_at: string
  kind: RecordKind = 'request'
  member = ''
  method = ''
  path = ''
  query = ''
  region = ''
  key_fingerprint = ''
  client_address = ''
  client_agent = ''
  policy_decision = ''
  parent_id = ''
  notes = ''
  trace_id = ''
  outcome: OutcomeKind = 'open'
  status: number | null = null
  upstream_request_id: string | null = null
  error_type: string | null = null
  error_message: string | null = null
  duration_ms: number | null = null
  ttfb_ms: number | null = null
  bytes_in = 0
  bytes_out = 0
  attempts = 0
  close_code: number | null = null
  clock_offset_ms: number | null = null
  async_id: string | null = null
  async_status: number | null = null
  async_latency_ms: number | null = null
  readonly openedAt: number
  sentAt = 0
  answeredAt = 0
  recorded = false
  closed = false

  constructor (id: string, startedAt: string, openedAt: number) {
    this.id = id
    this.started_at = startedAt
    this.openedAt = openedAt
  }
}

/** Gives a function that makes entries in memory: id, time of arrival, and what else is known already. */
export function createEntryMaker (clock: Clock, processId?: string): (intent: Partial<Intent>) => OpenEntry {
  const makeId = createIdMaker(processId)
  const makeTimestamp = createTimestamper()
  return intent => {
    const nowMs = clock.now()
    return Object.assign(new Entry(makeId(nowMs), makeTimestamp(nowMs), clock.monotonic()), intent)
  }
}
