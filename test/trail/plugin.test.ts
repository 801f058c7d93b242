import { once } from 'node:events'
import fs from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'tap'
import type { TrailList } from '../../src/trail/query/reader.ts'
import { forwardRoute, makeRoot, startTrailApp, type TrailApp } from '../support/trail-app.ts'
import { until } from '../support/trail-stores.ts'

async function readTrail ({ url }: TrailApp, query = ''): Promise<TrailList> {
  return await (await fetch(`${url}/_proxy/trail?${query}`)).json() as TrailList
}

/** As raw as a client can be: `close` ends it when the test wants. */
function send (url: string, text: string) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  socket.resume().write(text)
  return socket
}

test('a forwarded request has one row, findable within 300 ms, with what was learned on the way', async t => {
  const proxy = await startTrailApp(t, { routes: forwardRoute(() => ({ status: 404, body: 'x'.repeat(33) })) })
  await until(() => proxy.reports.get('trail')?.().details?.['store'] && fs.existsSync(join(proxy.root, 'trail.db')))
  await readTrail(proxy) // the store is there by then
  const answer = await fetch(`${proxy.url}/v3/devices/ak_secret?limit=2&key=ak_secret`, { headers: { 'user-agent': 'test ak_secret', 'x-test-member': 'mia' } })
  await answer.text()
  const endedAt = performance.now()
  const id = answer.headers.get('x-proxy-request-id') as string
  t.match(id, /^[0-9a-f]{32}$/)
  const store = new DatabaseSync(join(proxy.root, 'trail.db'), { readOnly: true })
  const find = store.prepare('SELECT outcome FROM trail WHERE id = ?')
  await until(() => find.get(id)?.['outcome'] === 'answered')
  const foundAfterMs = performance.now() - endedAt
  store.close()
  t.ok(foundAfterMs < 300, `${Math.round(foundAfterMs)} ms`)
  const { data: [row] } = await readTrail(proxy)
  t.match(row, {
    id,
    member: 'mia',
    method: 'GET',
    kind: 'request',
    path: '/v3/devices/[key]',
    query: 'limit=2&key=[key]',
    client_agent: 'test [key]',
    client_address: '127.0.0.1',
    status: 404,
    outcome: 'answered',
    attempts: 1,
    bytes_out: 33,
    region: 'us-east-1',
    upstream_request_id: `0f${id.slice(2)}`
  })
  t.ok((row?.ttfb_ms ?? -1) >= 0 && (row?.duration_ms ?? -1) >= (row?.ttfb_ms ?? 0))
  t.ok(Math.abs(Date.parse(row?.started_at ?? '') - Date.now()) < 10_000)
})

test('refusals, own pages and unknown paths are told apart; quiet routes leave no row unless they refuse', async t => {
  const proxy = await startTrailApp(t, {
    routes: app => {
      app.get('/refuse', async () => { const { proxyError } = await import('../../src/errors.ts'); throw proxyError('member_forbidden') })
      app.get('/own', async () => ({ ok: true }))
      app.get('/quiet', { config: { trail: false } }, async () => 'ok')
      app.get('/quiet-refusal', { config: { trail: false } }, async () => { const { proxyError } = await import('../../src/errors.ts'); throw proxyError('member_unknown') })
    }
  })
  for (const path of ['/refuse', '/own', '/quiet', '/quiet-refusal', '/nowhere']) await (await fetch(proxy.url + path)).text()
  const { data } = await until(async () => { const list = await readTrail(proxy); return list.data.length === 4 && list })
  t.strictSame(data.map(({ path, outcome, status, error_type: type, attempts }) => [path, outcome, status, type, attempts]), [
    ['/refuse', 'refused', 403, 'member_forbidden', 0],
    ['/own', 'own', 200, null, 0],
    ['/quiet-refusal', 'refused', 401, 'member_unknown', 0],
    ['/nowhere', 'refused', 404, null, 0]
  ])
  t.equal(data[1]?.bytes_out, '{"ok":true}'.length)
  await until(() => proxy.closed.some(entry => entry.path === '/quiet'))
})

test('a client that leaves, at any stage, leaves one row', async t => {
  const arrived: string[] = []
  const proxy = await startTrailApp(t, {
    routes: app => {
      app.get('/v3/silent', (request, reply) => {
        reply.hijack()
        arrived.push('silent')
        app.trail.record(request.entry, () => { request.entry.attempts = 1 })
      })
      app.get('/v3/half', (request, reply) => {
        reply.hijack()
        app.trail.record(request.entry, () => {
          Object.assign(request.entry, { attempts: 1, outcome: 'answered', status: 200 })
          reply.raw.writeHead(200, { 'content-length': 1000 }).write('half')
          arrived.push('half')
        })
      })
      app.get('/v3/broken', (request, reply) => {
        reply.hijack()
        app.trail.record(request.entry, () => {
          Object.assign(request.entry, { attempts: 1, outcome: 'truncated', status: 200 })
          reply.raw.writeHead(200, { 'content-length': 1000 })
          reply.raw.destroy()
          arrived.push('broken')
        })
      })
      app.post('/v3/upload', (request, reply) => {
        reply.hijack()
        arrived.push('upload')
      })
      app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    }
  })
  for (const name of ['silent', 'half', 'broken']) {
    const socket = send(proxy.url, `GET /v3/${name} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await until(() => arrived.includes(name))
    socket.destroy()
  }
  const upload = send(proxy.url, 'POST /v3/upload HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\nsome')
  await until(() => arrived.includes('upload'))
  upload.resetAndDestroy()
  const { data } = await until(async () => { const list = await readTrail(proxy, 'path__gte=/v3'); return list.data.length === 4 && list.data.every(row => row.outcome !== 'open') && list })
  t.strictSame(Object.fromEntries(data.map(row => [row.path, row.outcome])), { '/v3/silent': 'client_aborted', '/v3/half': 'client_aborted', '/v3/broken': 'truncated', '/v3/upload': 'client_aborted' })
  t.equal(proxy.closed.length, new Set(proxy.closed).size)
})

test('many requests on one connection have one row each', async t => {
  const proxy = await startTrailApp(t, { routes: forwardRoute() })
  const socket = send(proxy.url, 'GET /v3/a HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20))
  await until(() => proxy.closed.length === 20)
  socket.destroy()
  const { data } = await until(async () => { const list = await readTrail(proxy, 'path=/v3/a'); return list.data.length === 20 && list })
  t.ok(data.every(row => row.outcome === 'answered'))
  t.equal(new Set(data.map(row => row.id)).size, 20)
})

test('entries that no request opened are recorded and closed as any other', async t => {
  const proxy = await startTrailApp(t)
  const entry = proxy.app.trail.open({ kind: 'websocket', path: '/v2/notification', method: 'GET', member: 'mia' })
  await new Promise<void>((resolve, reject) => { proxy.app.trail.record(entry, error => error === undefined ? resolve() : reject(error)) })
  await until(async () => (await readTrail(proxy)).data[0]?.outcome === 'open')
  proxy.app.trail.close(entry, { outcome: 'answered', close_code: 1001, bytes_out: 5 })
  proxy.app.trail.close(entry, { outcome: 'failed' })
  proxy.app.trail.amend(entry.id, { async_id: 'a', async_status: 200, async_latency_ms: 3 })
  const { data: [row] } = await until(async () => { const list = await readTrail(proxy); return list.data[0]?.async_status === 200 && list })
  t.match(row, { kind: 'websocket', outcome: 'answered', close_code: 1001, async_id: 'a', async_latency_ms: 3 })
})

test('with `block` nothing is forwarded that can\'t be recorded; it recovers by itself, and the refusals are found', async t => {
  const files = { ...fs }
  const proxy = await startTrailApp(t, { files, routes: forwardRoute() })
  await (await fetch(`${proxy.url}/v3/before`)).text()
  Object.assign(files, { writeSync: () => { throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }) } })
  const refused = await fetch(`${proxy.url}/v3/during`)
  t.equal(refused.status, 503)
  t.match(proxy.reports.get('trail')?.(), { state: 'failed', ready: false, details: { journal: { error: 'ENOSPC', unrecorded: 1 } } })
  t.ok(proxy.logs.some(line => line.msg.includes('requests are refused until it can')))
  Object.assign(files, { writeSync: fs.writeSync })
  const freeAt = performance.now()
  await until(async () => (await fetch(`${proxy.url}/v3/after`)).status === 200)
  t.ok(performance.now() - freeAt < 5000)
  t.match(proxy.reports.get('trail')?.(), { state: 'ok', ready: true })
  const { data } = await until(async () => { const list = await readTrail(proxy, 'path=/v3/during'); return list.data.length === 1 && list })
  t.match(data, [{ outcome: 'refused', error_type: 'trail_unavailable', status: 503 }])
})

test('with `continue` requests go on, and health says what is missing', async t => {
  const files = { ...fs }
  const proxy = await startTrailApp(t, { files, routes: forwardRoute(), flags: { '--trail-on-failure': 'continue' } })
  Object.assign(files, { writeSync: () => { throw Object.assign(new Error('EIO'), { code: 'EIO' }) } })
  t.equal((await fetch(`${proxy.url}/v3/during`)).status, 200)
  t.match(proxy.reports.get('trail')?.(), { state: 'degraded', ready: true, details: { journal: { error: 'EIO', unrecorded: 1 } } })
})

test('what was written is stored before the app has closed, and the lock is free', async t => {
  const root = makeRoot(t)
  const first = await startTrailApp(t, { root, routes: forwardRoute() })
  for (let i = 0; i < 30; i++) await (await fetch(`${first.url}/v3/devices/${i}`)).text()
  await first.app.close()
  const second = await startTrailApp(t, { root })
  t.equal((await readTrail(second, 'path__gte=/v3')).data.length, 30)
})

test('a second proxy on the same journal is refused with a message that says what to do', async t => {
  const root = makeRoot(t)
  await startTrailApp(t, { root })
  await t.rejects(startTrailApp(t, { root }), { message: /in use by another izuma-proxy \(on host .+, since .+\)\. Stop that one, or give this one its own PROXY_TRAIL_JOURNAL/ })
})

test('clients that send no valid HTTP can be recorded, too', async t => {
  const proxy = await startTrailApp(t)
  proxy.app.server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const entry = proxy.app.trail.open({ method: '', path: '' })
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
    proxy.app.trail.close(entry, { outcome: 'refused', status: 400, error_type: 'header_invalid', error_message: error.code ?? null })
  })
  const socket = send(proxy.url, 'nonsense\r\n\r\n')
  await once(socket, 'close')
  const { data } = await until(async () => { const list = await readTrail(proxy, 'status=400'); return list.data.length === 1 && list })
  t.match(data, [{ outcome: 'refused', error_type: 'header_invalid', error_message: 'HPE_INVALID_METHOD' }])
})

test('health says how far the store is behind', async t => {
  const proxy = await startTrailApp(t, { routes: forwardRoute() })
  await (await fetch(`${proxy.url}/v3/x`)).text()
  await until(() => {
    const { journal, store } = proxy.reports.get('trail')?.().details as { journal: { lines: number }, store: { behindBytes: number } }
    return journal.lines >= 2 && store.behindBytes === 0
  })
  t.match(proxy.reports.get('trail')?.(), { state: 'ok', ready: true, details: { journal: { state: 'ok', lines: Number }, store: { kind: 'sqlite', fault: null, behindMs: 0, behindBytes: 0 } } })
  t.ok(fs.existsSync(join(proxy.root, 'trail.journal')))
})
