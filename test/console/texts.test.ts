import t from 'tap'
import type { TrailRecord } from '../../src/console/web/answers.ts'
import { listEvents } from '../../src/console/web/channel-events.ts'
import { describeResult, formatAgo, formatAmount, formatBytes, formatDate, formatDuration, formatName, formatRate, formatSpan, toneOf } from '../../src/console/web/format.ts'
import { listSteps, listStretches } from '../../src/console/web/timeline.ts'

t.test('amounts read as people say them', async t => {
  t.same([null, 0.04, 4.26, 14.6, 999, 1234, 59_940, 61_000].map(formatDuration), ['–', '0.0 ms', '4.3 ms', '15 ms', '999 ms', '1.23 s', '59.9 s', '1 min 1 s'])
  t.same([0, 59_000, 60_000, 3_725_000, 90_000_000].map(formatSpan), ['0 s', '59 s', '1 min', '1 h 2 min', '1 d 1 h'])
  t.same([0, 999, 1000, 12_345, 12_345_678, 5e12].map(formatBytes), ['0 B', '999 B', '1.0 kB', '12 kB', '12 MB', '5000 GB'])
  t.same([0, 0.01, 2.345, 42.4, 1234].map(formatRate), ['0/s', '0.60/min', '2.3/s', '42/s', '1,234/s'])
  t.equal(formatAgo('2026-01-02T03:04:05Z', Date.parse('2026-01-02T05:05:05Z')), '2 h ago')
  t.equal(formatAgo(null, 0), 'never')
  t.equal(formatDate('no date'), '–')
  t.same([['behindMs', 1200], ['age_seconds', 75], ['storeBytes', 86_016], ['bytes', 5], ['lines', 12_345], ['share', 0.12345]].map(([name, value]) => formatAmount(name as string, value as number)), ['1.20 s', '1 min 15 s', '86 kB', '5 B', '12,345', '0.1235'])
  t.equal(formatName('storeBytes'), 'store bytes')
  t.equal(formatName('access-key'), 'access key')
})

t.test('a row says in colour and word how it ended', async t => {
  const cases: Array<[Pick<TrailRecord, 'status' | 'outcome' | 'error_type'>, string, string]> = [
    [{ status: 200, outcome: 'answered', error_type: null }, 'good', ''],
    [{ status: 302, outcome: 'answered', error_type: null }, 'moved', ''],
    [{ status: 404, outcome: 'answered', error_type: 'not_found' }, 'warn', 'not_found'],
    [{ status: 403, outcome: 'refused', error_type: null }, 'warn', 'refused by the proxy'],
    [{ status: 502, outcome: 'failed', error_type: 'upstream_unreachable' }, 'bad', 'upstream_unreachable'],
    [{ status: 200, outcome: 'truncated', error_type: null }, 'bad', 'broke off'],
    [{ status: null, outcome: 'open', error_type: null }, 'quiet', 'running'],
    [{ status: null, outcome: 'unfinished', error_type: null }, 'bad', 'proxy ended first']
  ]
  for (const [row, tone, result] of cases) t.same([toneOf(row), describeResult(row)], [tone, result])
})

const record = (facts: Partial<TrailRecord>): TrailRecord => ({
  kind: 'request', client_address: '127.0.0.1', attempts: 1, status: 200, ttfb_ms: 10, duration_ms: 14, outcome: 'answered', close_code: null, async_id: null, async_status: null, async_latency_ms: null, ...facts
}) as TrailRecord

t.test('the timeline says what happened when', async t => {
  const told = (facts: Partial<TrailRecord>) => listSteps(record(facts)).map(({ atMs, text }) => `${atMs} ${text}`)
  t.same(told({}), ['0 Arrived from 127.0.0.1', 'null Sent to the API', '10 The API began to answer with 200', '14 Answer passed on whole'])
  t.same(told({ attempts: 0, ttfb_ms: null, status: 403, outcome: 'refused', duration_ms: 1 }), ['0 Arrived from 127.0.0.1', '1 Refused by the proxy with 403; the API never saw it'])
  t.same(told({ attempts: 2, ttfb_ms: null, status: 502, outcome: 'failed' }).slice(1), ['null Sent to the API 2 times', '14 No usable answer; the proxy answered 502'])
  t.same(told({ async_id: 'x', async_latency_ms: 90, async_status: 200 }).at(-1), '90 The device answered with 200')
  t.same(told({ async_id: 'x' }).at(-1), 'null The device has not answered yet')
  t.same(told({ async_id: 'x', status: 404 }).at(-1), '14 Answer passed on whole', 'the device never saw what the API refused')
  t.same(told({ async_id: 'x', status: 429 }).at(-1), 'null The device has not answered yet', 'it may be in the queue')
  t.same(told({ kind: 'websocket', close_code: 1000, status: 101 }).at(-1), '14 WebSocket closed with code 1000')
  t.same(told({ duration_ms: null, ttfb_ms: null, outcome: 'open', status: null }).length, 2)
})

t.test('the bar divides waiting from receiving', async t => {
  t.same(listStretches(record({})), [{ name: 'waiting', fromMs: 0, toMs: 10 }, { name: 'receiving', fromMs: 10, toMs: 14 }])
  t.same(listStretches(record({ ttfb_ms: null })), [{ name: 'waiting', fromMs: 0, toMs: 14 }])
  t.same(listStretches(record({ duration_ms: null })), [])
})

t.test('a message of the channel is one line for each thing it tells', async t => {
  const events = listEvents(JSON.stringify({
    notifications: [{ ep: 'd1', path: '/3303/0/5700', payload: Buffer.from('21.5').toString('base64') }, { ep: 'd1', path: '/5/0/0', payload: Buffer.from([0, 1, 255]).toString('base64') }],
    registrations: [{ ep: 'd2' }],
    'de-registrations': ['d3'],
    'async-responses': [{ id: 'a1', status: 200, payload: '' }],
    'something-new': { x: 1 }
  }))
  t.same(events, [
    { kind: 'value', device: 'd1', text: '/3303/0/5700  21.5' },
    { kind: 'value', device: 'd1', text: '/5/0/0  AAH/' },
    { kind: 'registered', device: 'd2', text: '' },
    { kind: 'deregistered', device: 'd3', text: '' },
    { kind: 'answer', device: 'a1', text: '200' },
    { kind: 'something-new', device: '', text: '' }
  ])
  t.same(listEvents('no json'), [{ kind: 'unreadable', device: '', text: 'no json' }])
  t.equal(listEvents('x'.repeat(10_000))[0]?.text.length, 401)
})
