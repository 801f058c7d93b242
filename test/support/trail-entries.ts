import { createEntryMaker, systemClock, type Clock } from '../../src/trail/entry.ts'
import type { OpenEntry, TrailRecord } from '../../src/trail/record.ts'

/** Makes entries as the plugin would, with something in every field that a test may want to look at. */
export function entryMaker (clock: Clock = systemClock): (facts?: Partial<TrailRecord>) => OpenEntry {
  const make = createEntryMaker(clock)
  return facts => Object.assign(make({ member: 'mia', method: 'GET', path: '/v3/devices', region: 'us-east-1', client_address: '127.0.0.1', client_agent: 'curl/8.0', policy_decision: 'allow' }), facts)
}

export function answered (entry: OpenEntry, facts: Partial<TrailRecord> = {}): OpenEntry {
  return Object.assign(entry, { outcome: 'answered', status: 200, attempts: 1, duration_ms: 12.5, ttfb_ms: 10, bytes_out: 1024, upstream_request_id: entry.id.replace(/^0/, '1'), ...facts })
}
