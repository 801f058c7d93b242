import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import t, { type Test } from 'tap'
import { nameSpan, redactQuery } from '../../src/ops/span-attributes.ts'
import tracingPlugin from '../../src/ops/tracing-plugin.ts'
import type { OpenEntry } from '../../src/trail/record.ts'
import { makeEntry } from '../support/entry.ts'
import { buildOpsApp, program, testSettings } from '../support/ops-app.ts'
import { startCollector, type CollectedSpan } from '../support/otlp-collector.ts'
import { waitFor } from '../support/wait-for.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'

interface Served { app: FastifyInstance, sent: string[][], entries: OpenEntry[] }

/** Opens and closes entries as the trail does, and a route that would forward: it shows the headers upstream would get. */
async function buildTraced (t: Test, environment: Record<string, string>, facts: Partial<OpenEntry> = {}): Promise<Served> {
  const app = await buildOpsApp()
  const sent: string[][] = []
  const entries: OpenEntry[] = []
  const listeners: Array<(entry: OpenEntry) => void> = []
  await app.register(fastifyPlugin(async instance => {
    instance.decorate('trail', { onClosed: (listener: (entry: OpenEntry) => void) => listeners.push(listener) } as never)
    instance.decorateRequest('entry')
    instance.addHook('onRequest', async (request, reply) => {
      const [path = '', query = ''] = request.url.split('?')
      const entry = request.entry = makeEntry({ method: request.method, path, query, ...facts })
      entries.push(entry)
      reply.raw.on('close', () => {
        entry.duration_ms = performance.now() - entry.openedAt
        for (const listener of listeners) listener(entry)
      })
    })
  }, { name: 'trail' }))
  await app.register(tracingPlugin, { settings: testSettings({ IZUMA_API_HOST: 'https://api.us-east-1.example', ...environment }), program, redact: text => text.replaceAll('planted-secret', '[removed]') })
  app.all('/*', async request => {
    const flat = request.raw.rawHeaders.slice()
    app.tracing?.send(request.entry, flat)
    sent.push(flat)
    return { ok: true }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return { app, sent, entries }
}

const urlOf = (app: FastifyInstance) => app.listeningOrigin
const valuesOf = (flat: string[] | undefined, name: string) => flat?.filter((_, index) => index % 2 === 1 && flat[index - 1]?.toLowerCase() === name)

/** The server's first. */
async function bothSpans ({ spans }: { spans: CollectedSpan[] }): Promise<CollectedSpan[]> {
  await waitFor('both spans', () => spans.length, count => count === 2)
  return spans.sort((a, b) => a.kind - b.kind)
}

t.test('nothing is traced, decorated or loaded without a collector', async t => {
  const { app, entries } = await buildTraced(t, {})
  t.equal(app.tracing, undefined)
  await fetch(`${urlOf(app)}/v3/devices`)
  t.equal(entries[0]?.trace_id, '')
})

t.test('continues the client\'s trace, passes it on upstream, and tells it to the trail', async t => {
  const collector = await startCollector(t)
  const { app, sent, entries } = await buildTraced(t, { PROXY_OTLP_ENDPOINT: collector.endpoint, PROXY_OTLP_HEADERS: 'x-api-key=of%20the%20collector' }, { upstream_request_id: 'f00d' })
  await fetch(`${urlOf(app)}/v3/devices/0177?limit=2&filter=owner%3Dzoe&bare`, { headers: { traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'vendor=1' } })
  t.equal(entries[0]?.trace_id, traceId)
  const [server, client] = await bothSpans(collector)
  t.match(server, { traceId, parentSpanId: spanId, kind: 2, name: 'GET /v3/devices/{id}', resource: { 'service.name': 'izuma-proxy', 'service.version': program.version } })
  t.match(server?.attributes, { 'http.request.method': 'GET', 'url.path': '/v3/devices/0177', 'url.query': 'limit=REDACTED&filter=REDACTED&REDACTED', 'http.route': '/v3/devices/{id}', 'http.response.status_code': 200, 'izuma.member': 'local', 'izuma.request_id': entries[0]?.id })
  t.match(client, { traceId, parentSpanId: server?.spanId, kind: 3, name: 'GET /v3/devices/{id}' })
  t.match(client?.attributes, { 'server.address': 'api.us-east-1.example', 'server.port': 443, 'url.full': 'https://api.us-east-1.example/v3/devices/0177?limit=REDACTED&filter=REDACTED&REDACTED', 'izuma.upstream_request_id': 'f00d' })
  t.same(valuesOf(sent[0], 'traceparent'), [`00-${traceId}-${client?.spanId}-01`], 'one context goes upstream, ours')
  t.same(valuesOf(sent[0], 'tracestate'), ['vendor=1'])
  t.ok(BigInt(server?.startTimeUnixNano ?? 0) <= BigInt(client?.startTimeUnixNano ?? 0))
  t.ok(Math.abs(Number(BigInt(server?.startTimeUnixNano ?? 0) / 1_000_000n) - Date.now()) < 60_000, 'times are of this day')
  t.match(collector.requests[0], { url: '/v1/traces', headers: { 'x-api-key': 'of the collector' } })
  // Ids are hexadecimal digits at random: they never say `zoe`.
  t.notMatch(collector.requests[0]?.text, /zoe/)
})

t.test('begins a trace of its own for a client without one or with a broken one', async t => {
  const collector = await startCollector(t)
  const { app, entries, sent } = await buildTraced(t, { PROXY_OTLP_ENDPOINT: collector.endpoint })
  for (const traceparent of ['', '00-' + '0'.repeat(32) + '-' + spanId + '-01', 'garbage', 'ff-' + traceId + '-' + spanId + '-01']) {
    await fetch(`${urlOf(app)}/v3/devices`, { headers: traceparent === '' ? {} : { traceparent } })
    const entry = entries.at(-1)
    t.match(entry?.trace_id, /^[0-9a-f]{32}$/)
    t.not(entry?.trace_id, traceId)
    t.match(valuesOf(sent.at(-1), 'traceparent'), [new RegExp(`^00-${entry?.trace_id}-`)])
  }
})

t.test('a client that asks not to be sampled isn\'t, and its context still goes on', async t => {
  const collector = await startCollector(t)
  const { app, sent } = await buildTraced(t, { PROXY_OTLP_ENDPOINT: collector.endpoint })
  await fetch(`${urlOf(app)}/v3/devices`, { headers: { traceparent: `00-${traceId}-${spanId}-00` } })
  t.match(valuesOf(sent[0], 'traceparent'), [new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`)])
  await fetch(`${urlOf(app)}/v3/devices`)
  await waitFor('a span', () => collector.spans.length, count => count > 0)
  t.notOk(collector.spans.some(span => span.traceId === traceId))
})

t.test('failures are errors; a refusal is one to the client span alone', async t => {
  const collector = await startCollector(t)
  const { app } = await buildTraced(t, { PROXY_OTLP_ENDPOINT: collector.endpoint }, { status: 404, error_type: 'not_found' })
  await fetch(`${urlOf(app)}/v3/devices`)
  const [server, client] = await bothSpans(collector)
  t.notMatch(server?.status, { code: 2 })
  t.match(client, { status: { code: 2 }, attributes: { 'error.type': 'not_found' } })
})

t.test('secrets and unknown paths: redacted, and no name of their own', async t => {
  const collector = await startCollector(t)
  const { app } = await buildTraced(t, { PROXY_OTLP_ENDPOINT: collector.endpoint })
  await fetch(`${urlOf(app)}/nobody/knows/planted-secret`, { headers: { 'user-agent': 'planted-secret' } })
  const [span] = await bothSpans(collector)
  t.equal(span?.name, 'GET')
  t.notMatch(collector.requests.map(({ text }) => text).join(), /planted-secret/)
})

t.test('a collector that is away is seen in the health, costs no request, and is forgiven when it is back', async t => {
  const collector = await startCollector(t)
  const { app } = await buildTraced(t, { PROXY_OTLP_ENDPOINT: collector.endpoint })
  collector.control.status = 400
  t.equal((await fetch(`${urlOf(app)}/v3/devices`)).status, 200)
  const read = async () => ((await (await fetch(`${urlOf(app)}/_proxy/status`)).json()) as { parts: Record<string, { state: string, ready: boolean }> }).parts['tracing']
  const away = await waitFor('the failure', read, part => part?.state === 'degraded')
  t.match(away, { ready: true, details: { failed: Number } })
  collector.control.status = 200
  await waitFor('the recovery', read, part => part?.state === 'ok')
})

t.test('a query keeps its names and loses every value', async t => {
  const cases = { 'a=1&b=2': 'a=REDACTED&b=REDACTED', 'a=b=c': 'a=REDACTED', a: 'REDACTED', '': 'REDACTED', 'a=': 'a=REDACTED' }
  for (const [query, redacted] of Object.entries(cases)) t.equal(redactQuery(query), redacted)
})

t.test('a span is named by method and template, both of a table', async t => {
  t.equal(nameSpan(makeEntry({ method: 'GET' }), '/v3/devices'), 'GET /v3/devices')
  t.equal(nameSpan(makeEntry({ method: 'BREW' }), undefined), 'HTTP')
})
