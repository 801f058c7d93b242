import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import type { OpenEntry } from '../../src/trail/record.ts'

/** A closed entry as the trail would hand it to its listeners: a listed device page, answered. */
export function makeEntry (facts: Partial<OpenEntry> = {}): OpenEntry {
  return {
    id: randomBytes(16).toString('hex'),
    started_at: '2026-01-01T00:00:00.000Z',
    kind: 'request',
    member: 'local',
    method: 'GET',
    path: '/v3/devices',
    query: '',
    region: 'us-east-1',
    key_fingerprint: '',
    client_address: '127.0.0.1',
    client_agent: '',
    policy_decision: 'allow',
    parent_id: '',
    notes: '',
    trace_id: '',
    outcome: 'answered',
    status: 200,
    upstream_request_id: null,
    error_type: null,
    error_message: null,
    duration_ms: 10,
    ttfb_ms: 8,
    bytes_in: 0,
    bytes_out: 0,
    attempts: 1,
    close_code: null,
    clock_offset_ms: null,
    async_id: null,
    async_status: null,
    async_latency_ms: null,
    openedAt: performance.now(),
    sentAt: 0,
    answeredAt: 0,
    recorded: true,
    closed: true,
    ...facts
  }
}
