import type { AddressInfo } from 'node:net'
import t from 'tap'
import { startCollector } from '../support/otlp-collector.ts'
import { startProduct } from '../support/product.ts'
import { waitFor } from '../support/wait-for.ts'

t.test('the whole proxy tells in its metrics what every room knows', async t => {
  const collector = await startCollector(t)
  const { app, url } = await startProduct(t, { environment: { PROXY_HEALTH_LISTEN: '127.0.0.1:0', PROXY_OTLP_ENDPOINT: collector.endpoint } })
  t.equal((await fetch(`${url}/v3/devices?limit=2`)).status, 200)
  t.equal((await fetch(`${url}/v3/devices/none-of-that-id`)).status, 404)
  await fetch(`${url}/v3/no/such/thing`)
  const scrape = async () => (await (await fetch(`http://127.0.0.1:${(app.healthListener?.server.address() as AddressInfo).port}/_proxy/metrics`)).text())
  const text = await waitFor('the counts', scrape, text => text.includes('route="other"'))
  for (const sample of [
    /^izuma_proxy_requests_total\{member="local",method="GET",route="\/v3\/devices",status="2xx",outcome="answered"\} 1$/m,
    /^izuma_proxy_requests_total\{member="local",method="GET",route="\/v3\/devices\/\{id\}",status="4xx",outcome="answered"\} 1$/m,
    /^izuma_proxy_own_duration_seconds_count 3$/m,
    /^izuma_proxy_upstream_duration_seconds_count\{route="\/v3\/devices"\} 1$/m,
    /^izuma_proxy_upstream_certificate_expiry_timestamp_seconds \d{10}/m,
    /^izuma_proxy_access_key_info\{fingerprint="sha256:[0-9a-f]{8}"\} 1$/m,
    /^izuma_proxy_upstream_connections\{state="open"\} \d+$/m,
    /^izuma_proxy_trail_lag_seconds \d/m,
    /^izuma_proxy_trail_journal_lines_total [1-9]/m,
    /^izuma_proxy_channel_state\{state="idle"\} 1$/m,
    /^izuma_proxy_channel_listeners\{kind="websocket"\} 0$/m,
    /^izuma_proxy_channel_replay_bytes \d/m,
    /^izuma_proxy_member_open_requests\{member="local"\} \d/m,
    /^izuma_proxy_part_state\{part="tracing"\} 0$/m,
    /^izuma_proxy_ready 1$/m
  ]) t.match(text, sample)
})

t.test('a trace goes from the client over the proxy to the API, and the trail keeps its id', async t => {
  const collector = await startCollector(t)
  const { url, trail, sandbox } = await startProduct(t, { environment: { PROXY_OTLP_ENDPOINT: collector.endpoint } })
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  await fetch(`${url}/v3/devices?limit=2&filter=name%3Dmine`, { headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` } })
  const spans = await waitFor('both spans', () => collector.spans, spans => spans.length === 2)
  const client = spans.find(({ kind }) => kind === 3)
  t.match(client, { traceId, attributes: { 'url.template': '/v3/devices', 'izuma.upstream_request_id': /^[0-9a-f]{32}$/ } })
  const [row] = await trail(rows => rows.length > 0)
  t.match(row, { trace_id: traceId, upstream_request_id: client?.attributes['izuma.upstream_request_id'] })
  const received = sandbox.received.find(({ url }) => url.startsWith('/v3/devices'))
  t.match(received?.headers, { traceparent: `00-${traceId}-${client?.spanId}-01` })
  t.notMatch(collector.requests.map(({ text }) => text).join(), /mine/)
})
