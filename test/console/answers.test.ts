import t from 'tap'
import type { Bucket, Explanation, MemberUsage, Series, Session, Status, TrailDetail } from '../../src/console/web/answers.ts'
import { startTeamProduct } from '../support/console-team.ts'
import { waitFor } from '../support/wait-for.ts'

/** The compiler holds each of these to the page's type, the test to the proxy's answer: neither moves without the other. */
type Keys<Shape> = Record<keyof Required<Shape>, true>

const session: Keys<Session> = { member: true, via: true, expires_at: true, csrf_token: true }
const explanation: Keys<Explanation> = { rule: true, likely: true, next: true, source: true }
const detail: Keys<TrailDetail> = {
  id: true, started_at: true, kind: true, member: true, method: true, path: true, query: true, region: true, key_fingerprint: true, client_address: true, client_agent: true, policy_decision: true, parent_id: true, notes: true, trace_id: true, outcome: true, status: true, upstream_request_id: true, error_type: true, error_message: true, duration_ms: true, ttfb_ms: true, bytes_in: true, bytes_out: true, attempts: true, close_code: true, clock_offset_ms: true, async_id: true, async_status: true, async_latency_ms: true, explanation: true
}
const bucket: Keys<Bucket> = { at: true, count: true, errors: true, refused: true, status: true, p50_ms: true, p95_ms: true, p99_ms: true, max_ms: true }
const series: Keys<Series> = { from: true, to: true, interval_ms: true, buckets: true, total: true }
const member: Keys<MemberUsage> = { name: true, role: true, last_seen: true, requests_today: true, refused_today: true, daily: true, open: true, concurrency: true }
const status: Keys<Status> = { version: true, node: true, started_at: true, uptime_seconds: true, state: true, ready: true, draining: true, parts: true, settings: true }

t.test('the proxy answers in the shapes that the page was written for', async t => {
  const { send } = await startTeamProduct(t, { flags: { '--channel': 'on-demand' } })
  const read = async <Shape>(path: string) => (await send('ada', path)).body as Shape
  const compare = (given: object, keys: Record<string, true>, name: string) => t.strictSame(Object.keys(keys).filter(key => !(key in given)), [], name)

  await send('ada', '/v3/devices/not-a-device-id')
  const { data: [first] } = await waitFor('the list', () => read<{ data: TrailDetail[] }>('/_proxy/trail?limit=2&outcome=answered'), ({ data }) => data.length > 0)
  const found = await read<TrailDetail>(`/_proxy/trail/${first?.id}`)
  compare(found, detail, 'a record')
  compare(found.explanation as object, explanation, 'an explanation')
  const counted = await read<Series>('/_proxy/trail/series?buckets=2')
  compare(counted, series, 'a series')
  compare(counted.buckets[0] as object, bucket, 'a bucket')
  compare((await read<{ data: object[] }>('/_proxy/members')).data[0] as object, member, 'a member')
  compare(await read('/_proxy/session'), session, 'a session')
  const overview = await read<Status>('/_proxy/status')
  compare(overview, status, 'the status')
  t.hasProps(overview.parts, ['channel', 'access-key', 'upstream', 'trail', 'team'])
  t.hasProps(overview.parts['channel']?.details ?? {}, ['state', 'mode', 'connected_since', 'last_message_at', 'messages', 'listeners', 'channels', 'subscriptions', 'unanswered_requests', 'connects', 'evictions', 'gaps', 'last_close', 'taken_by'])
})
