import { spawnSync } from 'node:child_process'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { ada, buildMetered } from '../support/metered-app.ts'
import { missingTool } from '../support/tools.ts'

async function scrape (app: FastifyInstance): Promise<string> {
  const { body, statusCode, headers } = await app.inject('/_proxy/metrics')
  t.equal(statusCode, 200)
  t.match(headers['content-type'], /^text\/plain; version=0\.0\.4/)
  return body
}

t.test('shows what was counted', async t => {
  const { app, close } = await buildMetered()
  t.teardown(() => app.close())
  app.health.register('upstream', () => ({ state: 'degraded', ready: true, details: { connections: { open: 3, running: 1, queued: 0, warm: 2 } } }))
  close({ member: 'ada', duration_ms: 20, sentAt: 100, answeredAt: 118 })
  close({ member: 'we"ird\\\n', outcome: 'refused', error_type: 'rate_limited', status: 429 })
  const text = await scrape(app)
  for (const line of [
    'izuma_proxy_info{version="0.0.0-test",node="26.0.0",region="us-east-1"} 1',
    'izuma_proxy_requests_total{member="ada",method="GET",route="/v3/devices",status="2xx",outcome="answered"} 1',
    'izuma_proxy_refusals_total{type="rate_limited"} 1',
    'izuma_proxy_request_duration_seconds_bucket{route="/v3/devices",le="0.025"} 2',
    'izuma_proxy_own_duration_seconds_count 1',
    'izuma_proxy_upstream_connections{state="warm"} 2',
    'izuma_proxy_part_state{part="upstream"} 1',
    'izuma_proxy_member_requests_today{member="ada"} 7',
    'izuma_proxy_member_daily_limit{member="ada"} 100',
    'izuma_proxy_ready 1',
    'izuma_proxy_in_flight_requests 1'
  ]) t.ok(text.split('\n').includes(line), line)
  t.notMatch(text, /izuma_proxy_member_concurrency_limit\{/, 'no limit, no sample')
  t.match(text, /^nodejs_eventloop_lag_p99_seconds /m)
  t.match(text, /^process_resident_memory_bytes /m)
})

t.test('promtool accepts every metric of ours', { skip: missingTool(['promtool'], 'prometheus') }, async t => {
  const { app, close } = await buildMetered()
  t.teardown(() => app.close())
  close({ member: 'we"ird\\\n', duration_ms: 20, sentAt: 100, answeredAt: 118 })
  const check = spawnSync('promtool', ['check', 'metrics'], { input: await scrape(app), encoding: 'utf8' })
  // Syntax errors make it stop; its opinions on the names of Node's own metrics aren't ours to settle.
  t.notMatch(check.stderr, /error while linting/)
  t.notMatch(check.stderr + check.stdout, /^izuma_proxy_/m)
  t.equal(check.error, undefined)
})

t.test('shows the key by its fingerprint and when it was taken up, and no key as none', async t => {
  const { app, changeKey } = await buildMetered()
  t.teardown(() => app.close())
  const before = await scrape(app)
  t.match(before, /izuma_proxy_access_key_info\{fingerprint="sha256:[0-9a-f]{8}"\} 1/)
  t.match(before, /izuma_proxy_access_key_loaded_timestamp_seconds \d{10}/)
  t.notMatch(before, /the secret of this test/)
  changeKey(undefined)
  const after = await scrape(app)
  t.notMatch(after, /^izuma_proxy_access_key_(info|loaded)[^ ]* /m)
  t.match(after, /^izuma_proxy_access_key_changes_total 1$/m)
})

t.test('stays small with a thousand members and paths that nobody knows', async t => {
  const members = Array.from({ length: 1000 }, (_, index) => ({ ...ada, name: `member-${index}` }))
  const { app, close } = await buildMetered(members)
  t.teardown(() => app.close())
  for (let index = 0; index < 20_000; index++) close({ member: `member-${index % 1000}`, path: `/v3/devices/${index}/x${index}`, method: 'GET', status: 200 + index % 400 })
  const text = await scrape(app)
  t.ok(text.split('\n').length < 10_000, `${text.split('\n').length} lines`)
})

t.test('serves the second listener too', async t => {
  const { app } = await buildMetered()
  t.teardown(() => app.close())
  await app.ready()
  const answer = await fetch(`http://127.0.0.1:${(app.healthListener?.server.address() as AddressInfo).port}/_proxy/metrics`)
  t.match(await answer.text(), /^izuma_proxy_info/m)
})

t.test('no sample comes twice: a scraper would refuse all of them', async t => {
  const { app } = await buildMetered()
  t.teardown(() => app.close())
  app.health.register('fleet', () => ({ state: 'ok', ready: true, details: { up: true, instances: 3 } }))
  app.health.register('channel', () => ({ state: 'ok', ready: true, details: { state: 'open', listeners: { websocket: 1 }, fleet: { holds_lease: true, takeovers: 1, stream_lag: 0 } } }))
  const samples = (await scrape(app)).split('\n').filter(line => line !== '' && !line.startsWith('#')).map(line => line.slice(0, line.lastIndexOf(' ')))
  t.ok(samples.some(sample => sample.includes('fleet_instances')))
  t.same(samples.filter((sample, index) => samples.indexOf(sample) !== index), [])
})
