import { join } from 'node:path'
import { test } from 'tap'
import type { SupportBundle } from '../../src/trail/bundle.ts'
import type { TrailDetail } from '../../src/trail/api.ts'
import type { TrailItem, TrailList } from '../../src/trail/query/reader.ts'
import type { Series } from '../../src/trail/query/series.ts'
import { startPostgres } from '../support/postgres.ts'
import { forwardRoute, startTrailApp, type TrailApp } from '../support/trail-app.ts'
import { testOnBoth, until, type Place } from '../support/trail-stores.ts'
import { waitFor } from '../support/wait-for.ts'

const statuses: Record<string, number> = { missing: 404, broken: 500 }

function start (t: Parameters<typeof startTrailApp>[0], { store, folder }: Pick<Place, 'store' | 'folder'>, more: Record<string, string> = {}): Promise<TrailApp> {
  const flags = { ...more, '--trail': store.kind === 'postgres' ? store.url : `sqlite:${store.path}`, '--trail-journal': folder }
  return startTrailApp(t, { flags, routes: forwardRoute(entry => ({ status: statuses[entry.path.split('/')[2] ?? ''] ?? 200, body: '{}' })) })
}

async function forward ({ url }: TrailApp, path: string, member = 'mia'): Promise<string> {
  const answer = await fetch(url + path, { headers: { 'x-test-member': member } })
  await answer.text()
  return answer.headers.get('x-proxy-request-id') as string
}

function ask ({ url }: TrailApp, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/_proxy/trail${path}`, { headers })
}

async function stored (proxy: TrailApp, count: number): Promise<TrailList> {
  return until(async () => {
    const list = await (await ask(proxy, '?path__gte=/v3&limit=1000')).json() as TrailList
    return list.data?.length === count && list.data.every(item => item.outcome !== 'open') && list
  }, 30_000)
}

testOnBoth('lists by the API\'s conventions', async (t, place) => {
  const proxy = await start(t, place)
  const ids = []
  for (let i = 0; i < 5; i++) ids.push(await forward(proxy, `/v3/devices/${i}`))
  ids.push(await forward(proxy, '/v3/missing/1'))
  await stored(proxy, 6)
  const first = await ask(proxy, '?path__gte=/v3&limit=2&include=total_count')
  t.equal(first.headers.get('content-type'), 'application/json; charset=utf-8')
  t.equal(first.headers.get('cache-control'), 'no-store')
  const page = await first.json() as TrailList
  t.match(page, { object: 'list', limit: 2, after: null, order: 'ASC', has_more: true, total_count: 6 })
  t.strictSame(page.data.map(item => item.id), ids.slice(0, 2))
  const next = await (await ask(proxy, `?path__gte=/v3&limit=100&after=${ids[1]}`)).json() as TrailList
  t.strictSame(next.data.map(item => item.id), ids.slice(2))
  t.equal(next.has_more, false)
  const filtered = await (await ask(proxy, '?path__gte=/v3&status__gte=400&q=MISSING&order=DESC')).json() as TrailList
  t.strictSame(filtered.data.map(item => item.id), [ids[5]])
  const wrong = await ask(proxy, '?limit=x&colour__eq=red')
  t.equal(wrong.status, 400)
  t.match(await wrong.json(), { object: 'error', code: 400, type: 'validation_error', fields: [{ name: 'limit' }, { name: 'colour__eq' }] })
})

testOnBoth('members see their own records, admins all', async (t, place) => {
  const proxy = await start(t, place)
  const hers = await forward(proxy, '/v3/devices/1', 'mia')
  const his = await forward(proxy, '/v3/devices/2', 'noa')
  await stored(proxy, 2)
  const asMia = { 'x-test-member': 'mia:member' }
  const list = await (await ask(proxy, '?path__gte=/v3&include=total_count', asMia)).json() as TrailList
  t.strictSame(list.data.map(item => item.id), [hers])
  t.equal(list.total_count, 1)
  t.strictSame((await (await ask(proxy, '?member__eq=noa', asMia)).json() as TrailList).data, [])
  t.equal((await ask(proxy, `/${hers}`, asMia)).status, 200)
  t.equal((await ask(proxy, `/${his}`, asMia)).status, 404)
  t.equal((await ask(proxy, `/${his}/bundle`, asMia)).status, 404)
  t.equal((await (await ask(proxy, `/bundle?id__in=${hers},${his}`, asMia)).json() as SupportBundle).requests.length, 1)
  t.equal((await (await ask(proxy, '/series?path__gte=/v3', asMia)).json() as Series).total.count, 1)
  t.equal((await (await ask(proxy, '/bundle?path__gte=/v3', asMia)).json() as SupportBundle).requests.length, 1)
  t.equal((await ask(proxy, `/${his}`)).status, 200)
})

testOnBoth('one record, by either id, with its explanation', async (t, place) => {
  const proxy = await start(t, place)
  const id = await forward(proxy, '/v3/missing/1')
  await stored(proxy, 1)
  const detail = await (await ask(proxy, `/${id}`)).json() as TrailDetail
  t.match(detail, { object: 'trail-record', id, status: 404, explanation: { rule: 'not_found', source: { url: /^https:/ } } })
  t.equal((await (await ask(proxy, `/${detail.upstream_request_id}`)).json() as TrailDetail).id, id)
  for (const unknown of ['0'.repeat(32), 'x', '%00', 'a'.repeat(90)]) t.equal((await ask(proxy, `/${unknown}`)).status, 404, unknown)
})

testOnBoth('a support bundle, as JSON and as Markdown, for one, several, or a range', async (t, place) => {
  const proxy = await start(t, place, { '--allowed-hosts': 'ak_secret.example' })
  const first = await forward(proxy, '/v3/broken/1?limit=5')
  const second = await forward(proxy, '/v3/broken/1?limit=5')
  await forward(proxy, '/v3/devices')
  await stored(proxy, 3)
  const bundle = await (await ask(proxy, `/${first}/bundle`)).json() as SupportBundle
  t.match(bundle, {
    object: 'support-bundle',
    proxies: [{ id: first.slice(-12), version: '0.0.0-test', region: 'us-east-1', api: 'https://api.us-east-1.mbedcloud.com', configuration: /^[0-9a-f]{12}$/, settings: { PROXY_TRAIL: 'set (not shown)' } }],
    requests: [{ proxy_request_id: first, proxy: first.slice(-12), url: 'https://api.us-east-1.mbedcloud.com/v3/broken/1?limit=5', status: 500, explanation: { rule: 'service_trouble' }, retries: [{ proxy_request_id: second }] }]
  })
  const markdown = await ask(proxy, `/${first}/bundle`, { accept: 'text/markdown' })
  t.equal(markdown.headers.get('content-type'), 'text/markdown; charset=utf-8')
  t.match(await markdown.text(), new RegExp(`# Support bundle: 1 request[^]+## The proxy [^]+${first}[^]+### Likely cause`))
  t.match(await (await ask(proxy, `/${first}/bundle?format=markdown`)).text(), /^# Support/)
  t.equal((await (await ask(proxy, `/bundle?id__in=${first},${second}`)).json() as SupportBundle).requests.length, 2)
  t.equal((await (await ask(proxy, '/bundle?path__gte=/v3&status__gte=500&started_at__gte=2020')).json() as SupportBundle).requests.length, 2)
  t.equal((await ask(proxy, `/${first}/bundle?format=pdf`)).status, 400)
  t.match(bundle.proxies, [{ settings: { PROXY_ALLOWED_HOSTS: '[key].example' } }], 'a key that got into a setting is not in the store')
  const asMia = { 'x-test-member': 'mia' }
  for (const path of [`/${first}/bundle`, `/bundle?id__in=${first}`]) {
    const hers = await (await ask(proxy, path, asMia)).json() as SupportBundle
    t.match(hers, { proxies: [{ id: bundle.proxies[0]?.id, settings: null }], requests: [{ proxy: bundle.proxies[0]?.id }] }, 'settings are for admins')
    t.notMatch(await (await ask(proxy, path + (path.includes('?') ? '&' : '?') + 'format=markdown', asMia)).text(), 'PROXY_')
  }
})

testOnBoth('series over time', async (t, place) => {
  const proxy = await start(t, place)
  await forward(proxy, '/v3/broken/1')
  await forward(proxy, '/v3/devices')
  await stored(proxy, 2)
  const series = await (await ask(proxy, '/series?path__gte=/v3&buckets=12')).json() as Series
  t.match(series, { object: 'trail-series', interval_ms: 600_000, total: { count: 2, errors: 1, status: { '2xx': 1, '5xx': 1 } } })
  t.ok(series.buckets.length <= 12)
  t.equal((await ask(proxy, '/series?buckets=0')).status, 400)
})

/** Reads events until `enough` says so. */
async function readEvents (response: Response, enough: (events: Array<{ event: string, id?: string, data: unknown }>) => boolean) {
  const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream() as never).getReader() as ReadableStreamDefaultReader<string>
  const events: Array<{ event: string, id?: string, data: unknown }> = []
  let text = ''
  while (!enough(events)) {
    const { value, done } = await reader.read()
    if (done) break
    text += value
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split('\n').map(line => line.split(/: (.*)/s).slice(0, 2))) as Record<string, string>
      if (fields['event'] !== undefined) events.push({ event: fields['event'], ...fields['id'] && { id: fields['id'] }, data: JSON.parse(fields['data'] as string) })
    }
  }
  return { events, reader }
}

testOnBoth('a live tail shows records as they come, filtered, and can be taken up again', async (t, place) => {
  const proxy = await start(t, place)
  await forward(proxy, '/v3/devices/0')
  await stored(proxy, 1)
  const live = await ask(proxy, '?member__eq=mia', { accept: 'text/event-stream' })
  t.equal(live.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  t.match(live.headers.get('x-proxy-request-id'), /^[0-9a-f]{32}$/)
  await forward(proxy, '/v3/devices/1', 'noa')
  const ids = [await forward(proxy, '/v3/devices/2'), await forward(proxy, '/v3/devices/3')]
  const { events, reader } = await readEvents(live, seen => seen.filter(event => (event.data as TrailItem).outcome === 'answered').length === 2)
  t.strictSame(new Set(events.map(event => event.id)), new Set(ids))
  await reader.cancel()
  const again = await ask(proxy, '/tail', { 'last-event-id': ids[0] as string })
  const resumed = await readEvents(again, seen => seen.length > 0)
  t.equal(resumed.events[0]?.id, ids[1])
  await resumed.reader.cancel()
  await until(() => proxy.closed.filter(entry => entry.path.startsWith('/_proxy/trail') && entry.outcome === 'own').length > 2)
})

testOnBoth('a revoked member\'s tail ends, and so do all when the proxy drains', async (t, place) => {
  const proxy = await start(t, place)
  const first = await ask(proxy, '/tail')
  proxy.revoke()
  t.equal((await readEvents(first, () => false)).events.length, 0)
  const second = await ask(proxy, '/tail')
  proxy.drain()
  t.equal((await readEvents(second, () => false)).events.length, 0)
})

test('a store that can\'t be read is an error of this endpoint alone', async t => {
  const proxy = await startTrailApp(t, { flags: { '--trail': 'postgres://nobody@127.0.0.1:1/none' }, routes: forwardRoute() })
  const answer = await ask(proxy, '')
  t.equal(answer.status, 503)
  t.match(await answer.json(), { type: 'trail_unavailable', message: /cannot be read/ })
  t.equal((await fetch(`${proxy.url}/v3/devices`)).status, 200)
  const report = await waitFor('the fault', () => proxy.reports.get('trail')?.(), found => found?.state === 'degraded', 20_000)
  t.match(report, { state: 'degraded', ready: true, details: { store: { fault: 'unreachable' } } })
})

test('a database that goes away holds nothing up, and has everything once it is back', async t => {
  const server = await startPostgres()
  if (server === undefined) return t.pass('not run', { skip: 'no PostgreSQL is installed here (apt install postgresql)' })
  t.teardown(() => server.remove())
  const proxy = await start(t, { store: { kind: 'postgres', url: await server.createDatabase(), sync: false }, folder: join(t.testdir({}), 'journal') })
  const report = () => proxy.reports.get('trail')?.() as { state: string, ready: boolean, details: { store: { fault: string | null, behindBytes: number, behindMs: number } } }
  const ids = [await forward(proxy, '/v3/devices/before')]
  await stored(proxy, 1)
  await server.stop('immediate')
  for (let i = 0; i < 200; i++) ids.push(await forward(proxy, `/v3/devices/${i}`))
  const away = await until(() => report().details.store.fault !== null && report(), 20_000)
  t.match(away, { state: 'degraded', ready: true, details: { store: { fault: 'unreachable' } } })
  t.ok(away.details.store.behindBytes > 10_000, 'it says how far the store is behind')
  t.equal((await ask(proxy, '')).status, 503)
  await server.start()
  const list = await stored(proxy, ids.length)
  t.strictSame(list.data.map(({ id }) => id), ids, 'in order, each once')
  t.match(await until(() => report().state === 'ok' && report(), 10_000), { details: { store: { fault: null, behindMs: Number } } })
})
