import fc from 'fast-check'
import t from 'tap'
import { RequestTally } from '../../src/ops/request-tally.ts'
import type { OpenEntry } from '../../src/trail/record.ts'
import { makeEntry } from '../support/entry.ts'

const match = (path: string) => path.startsWith('/v3/devices') ? '/v3/devices' : undefined

function tally (...entries: Array<Partial<OpenEntry>>): RequestTally {
  const tally = new RequestTally(match)
  for (const facts of entries) tally.add(makeEntry(facts))
  return tally
}

t.test('counts by member, method, route, status class and outcome', async t => {
  const { series } = tally({ member: 'ada', bytes_in: 3, bytes_out: 5 }, { member: 'ada', bytes_in: 4 }, { member: 'bob', status: 404 })
  t.same([...series.values()], [
    { member: 'ada', method: 'GET', route: '/v3/devices', status: '2xx', outcome: 'answered', requests: 2, bytesIn: 7, bytesOut: 5 },
    { member: 'bob', method: 'GET', route: '/v3/devices', status: '4xx', outcome: 'answered', requests: 1, bytesIn: 0, bytesOut: 0 }
  ])
})

t.test('what is in no table of ours has no label of its own', async t => {
  const { series } = tally({ member: '', method: 'BREW', path: '/coffee', status: null }, { status: 999 })
  t.match([...series.values()], [{ member: 'none', method: 'OTHER', route: 'other', status: 'none' }, { status: 'none' }])
})

t.test('our own share is the whole less upstream\'s time, of answered requests alone', async t => {
  const { own, upstream, whole } = tally(
    { duration_ms: 30, sentAt: 1000, answeredAt: 1025 },
    { duration_ms: 30, sentAt: 1000, answeredAt: 0, outcome: 'failed', status: 502 },
    { duration_ms: 1, attempts: 0, outcome: 'refused', status: 403, error_type: 'member_forbidden' }
  )
  t.equal(own.count, 1)
  t.ok(Math.abs(own.sumSeconds - 0.005) < 1e-9)
  t.ok(Math.abs((upstream.get('/v3/devices')?.sumSeconds ?? 0) - 0.025) < 1e-9)
  t.equal(whole.get('/v3/devices')?.count, 3)
})

t.test('a WebSocket counts, but its hours are no duration of a request', async t => {
  const { series, whole } = tally({ kind: 'websocket', duration_ms: 3_600_000, status: 101 })
  t.match([...series.values()], [{ status: '1xx', requests: 1 }])
  t.equal(whole.size, 0)
})

t.test('refusals count by error type, repeated requests once', async t => {
  const { refusals, repeated } = tally({ outcome: 'refused', error_type: 'rate_limited' }, { outcome: 'refused', error_type: 'rate_limited' }, { attempts: 2 }, { outcome: 'answered', error_type: 'not_found' })
  t.same([...refusals], [['rate_limited', 2]])
  t.equal(repeated, 1)
})

t.test('the number of series is bounded whatever clients send', async () => {
  const anything = fc.record({
    member: fc.string(),
    method: fc.oneof(fc.constantFrom('GET', 'PUT'), fc.string()),
    path: fc.oneof(fc.constant('/v3/devices'), fc.webPath()),
    status: fc.option(fc.integer({ min: 0, max: 1200 })),
    outcome: fc.constantFrom('answered' as const, 'refused' as const, 'client_aborted' as const)
  })
  fc.assert(fc.property(fc.array(anything, { minLength: 100, maxLength: 400 }), entries => {
    const bounded = new RequestTally(match, { members: 5, series: 40 })
    for (const facts of entries) bounded.add(makeEntry(facts))
    const requests = [...bounded.series.values()].reduce((sum, series) => sum + series.requests, 0)
    // Beyond the limit only `other other` is added: members (5, other, none) × classes × outcomes.
    return bounded.series.size <= 40 + 7 * 6 * 3 && requests === entries.length
  }), { numRuns: 100 })
})
