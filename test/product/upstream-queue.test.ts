import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { drain } from '../../src/ops/drain.ts'
import { startApi } from '../support/api-server.ts'
import { ask, type Answer } from '../support/client.ts'
import { startForwardProxy } from '../support/forward-proxy.ts'
import { makeAccessKey, startProxy, type StartedProxy } from '../support/proxy.ts'
import { startRelay } from '../support/relay.ts'
import { openPeer } from '../support/sockets.ts'
import { waitFor } from '../support/wait-for.ts'

// All connections to the API are taken: who waits, how long, and what becomes of those who leave.

const accessKey = makeAccessKey()
const closed = (count: number) => (rows: Array<{ outcome: string }>) => rows.length === count && rows.every(row => row.outcome !== 'open')

interface Busy extends StartedProxy {
  /** What the API has seen, in order. */
  seen: () => string[]
  /** Ends the answer to a path. */
  finish: (path: string) => void
  /** Requests that wait, by `status`. */
  waiting: () => Promise<number>
}

/** A proxy whose connections are all taken by answers that do not end. */
async function startBusy (t: Test, flags: Record<string, string>, taken = 1, environment: Record<string, string> = {}): Promise<Busy> {
  const endless = new Map<string, ServerResponse>()
  const api = await startApi(t, (request, response) => {
    const url = request.url ?? ''
    request.resume()
    if (!url.startsWith('/endless')) return void response.end('{"object":"list","data":[],"has_more":false}')
    endless.set(url, response)
    response.write('begun')
  })
  api.server.on('upgrade', ({ headers }, socket) => {
    const accept = createHash('sha1').update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
  })
  const proxy = await startProxy(t, { api, accessKey, environment, flags: { '--channel': 'off', '--upstream-connections': String(taken), ...flags } })
  const leaving = new AbortController()
  t.teardown(() => leaving.abort())
  for (let count = 1; count <= taken; count++) ask(proxy.url, `/endless/${count}`, { signal: leaving.signal }).catch(() => {})
  await waitFor('endless answers', () => endless.size, size => size === taken)
  return Object.assign(proxy, {
    seen: () => api.seen.map(({ url }) => url).filter(url => !url.startsWith('/endless')),
    finish: (path: string) => { endless.get(path)?.end() },
    waiting: () => countWaiting(proxy)
  })
}

async function countWaiting (proxy: StartedProxy): Promise<number> {
  const { text } = await ask(proxy.url, '/_proxy/status')
  return (JSON.parse(text) as { parts: { upstream: { details: { connections: { queued: number } } } } }).parts.upstream.details.connections.queued
}

async function timed (asking: Promise<Answer>): Promise<Answer & { tookMs: number }> {
  const startedAt = performance.now()
  return Object.assign(await asking, { tookMs: performance.now() - startedAt })
}

function checkBusy (t: Test, answer: Answer): void {
  t.match(answer, { status: 503, headers: { 'x-proxy-error': 'upstream_busy', 'retry-after': '1' } })
  t.match(JSON.parse(answer.text), { object: 'error', code: 503, type: 'upstream_busy', message: /PROXY_UPSTREAM_CONNECTIONS/, request_id: answer.headers['x-proxy-request-id'] })
  t.notMatch(answer.text + JSON.stringify(answer.headers), /ak_1|S{8}|127\.0\.0\.1:/, 'neither key nor address')
}

t.test('two endless answers on two connections: a third request gets 503 when its time is up, and is never sent', async t => {
  const proxy = await startBusy(t, { '--upstream-queue-timeout': '1s' }, 2)
  const answer = await timed(ask(proxy.url, '/v3/devices'))
  checkBusy(t, answer)
  t.ok(answer.tookMs > 990 && answer.tookMs < 5000, `took ${answer.tookMs} ms`)
  const upload = await ask(proxy.url, '/v3/devices', { method: 'POST', body: Buffer.alloc(300_000, 'x') })
  checkBusy(t, upload)
  proxy.finish('/endless/1')
  t.equal((await ask(proxy.url, '/v3/after')).status, 200)
  t.same(proxy.seen(), ['/v3/after'])
  const rows = await proxy.trail(rows => rows.filter(({ outcome }) => outcome === 'refused').length === 2)
  t.match(rows.find(({ method }) => method === 'POST'), { outcome: 'refused', status: 503, error_type: 'upstream_busy', attempts: 0, ttfb_ms: null })
  t.match((await ask(proxy.url, '/_proxy/metrics')).text, /izuma_proxy_refusals_total\{type="upstream_busy"\} 2/)
  t.match(proxy.log(), /"error_type":"upstream_busy"/)
  t.notMatch(proxy.log(), accessKey)
})

t.test('a client that leaves takes its request with it: closed at once, never sent when a connection gets free', async t => {
  const proxy = await startBusy(t, { '--upstream-queue-timeout': '1m' })
  const leaving = new AbortController()
  const left = ask(proxy.url, '/v3/left', { signal: leaving.signal }).catch(() => {})
  await waitFor('one waits', proxy.waiting, count => count === 1)
  const stayed = ask(proxy.url, '/v3/stayed')
  await waitFor('two wait', proxy.waiting, count => count === 2)
  leaving.abort()
  await left
  await waitFor('one waits', proxy.waiting, count => count === 1)
  t.match((await proxy.trail(rows => rows.some(({ outcome }) => outcome === 'client_aborted'))).find(({ path }) => path === '/v3/left'), { outcome: 'client_aborted', attempts: 0, status: null })
  proxy.finish('/endless/1')
  t.equal((await stayed).status, 200)
  t.equal((await ask(proxy.url, '/v3/after')).status, 200)
  t.same(proxy.seen(), ['/v3/stayed', '/v3/after'])
})

t.test('who waits is sent in order of arrival as soon as a connection is free', async t => {
  const proxy = await startBusy(t, { '--upstream-queue-timeout': '30s' })
  const asked: Array<Promise<Answer>> = []
  for (let count = 1; count <= 20; count++) {
    asked.push(ask(proxy.url, `/v3/${count}`, count % 2 === 0 ? {} : { method: 'POST', body: 'x'.repeat(1000) }))
    await waitFor(`${count} wait`, proxy.waiting, waiting => waiting === count)
  }
  proxy.finish('/endless/1')
  for (const { status, text } of await Promise.all(asked)) t.match({ status, text }, { status: 200, text: /^\{/ })
  t.same(proxy.seen(), Array.from({ length: 20 }, (_, index) => `/v3/${index + 1}`))
  t.equal(await proxy.waiting(), 0)
  const rows = await proxy.trail(closed(21))
  t.ok(rows.filter(({ path }) => path !== '/endless/1').every(({ outcome, attempts }) => outcome === 'answered' && attempts === 1))
  const { text } = await ask(proxy.url, '/_proxy/metrics')
  const seconds = (name: string) => Number(new RegExp(`izuma_proxy_${name}_duration_seconds_sum\\S* (\\S+)`).exec(text)?.[1])
  t.ok(seconds('own') > 0.1, 'waiting for a connection is the proxy\'s share of the time, not the API\'s')
})

t.test('beyond PROXY_UPSTREAM_QUEUE nobody waits: 503 at once', async t => {
  const proxy = await startBusy(t, { '--upstream-queue-timeout': '30s', '--upstream-queue': '2' })
  const waiting = [ask(proxy.url, '/v3/one'), ask(proxy.url, '/v3/two')]
  await waitFor('two wait', proxy.waiting, count => count === 2)
  const answer = await timed(ask(proxy.url, '/v3/three'))
  checkBusy(t, answer)
  t.ok(answer.tookMs < 5000, `took ${answer.tookMs} ms`)
  proxy.finish('/endless/1')
  for (const { status } of await Promise.all(waiting)) t.equal(status, 200)
  t.same(proxy.seen().toSorted(), ['/v3/one', '/v3/two'])
})

t.test('the page of a whole list waits and is refused like any request', async t => {
  const proxy = await startBusy(t, { '--upstream-queue-timeout': '3s' })
  checkBusy(t, await ask(proxy.url, '/_proxy/pages/v3/devices'))
  t.match((await proxy.trail(rows => rows.some(({ kind, outcome }) => kind === 'page' && outcome !== 'open'))).find(({ kind }) => kind === 'page'), { outcome: 'refused', error_type: 'upstream_busy', attempts: 0 })
  const leaving = new AbortController()
  const left = ask(proxy.url, '/_proxy/pages/v3/left', { signal: leaving.signal }).catch(() => {})
  await waitFor('the page waits', proxy.waiting, count => count === 1)
  leaving.abort()
  await left
  const leftAt = performance.now()
  await waitFor('nobody waits', proxy.waiting, count => count === 0)
  t.ok(performance.now() - leftAt < 2000, 'not by the time limit')
  t.match((await proxy.trail(rows => rows.filter(({ kind, outcome }) => kind === 'page' && outcome !== 'open').length === 2)).find(({ path }) => path === '/v3/left'), { outcome: 'client_aborted', attempts: 0 })
  t.same(proxy.seen(), [])
})

t.test('what the proxy needs for everybody goes first and is never one too many: the channel\'s registration', async t => {
  const proxy = await startBusy(t, { '--upstream-queue-timeout': '30s', '--upstream-queue': '1', '--channel': 'on-demand' })
  const waiting = ask(proxy.url, '/v3/devices')
  await waitFor('one waits', proxy.waiting, count => count === 1)
  const listening = new AbortController()
  t.teardown(() => listening.abort())
  ask(proxy.url, '/_proxy/notifications', { headers: { Accept: 'text/event-stream' }, signal: listening.signal }).catch(() => {})
  await waitFor('the registration waits too', proxy.waiting, count => count === 2)
  proxy.finish('/endless/1')
  await waiting
  t.same(proxy.seen().slice(0, 2), ['/v2/notification/websocket', '/v3/devices'])
})

const handshake = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}\r\n\r\n`

t.test('the handshake of a WebSocket waits too: sent, refused, or forgotten when its client leaves; an open one takes no connection', async t => {
  const proxy = await startBusy(t, { '--upstream-queue-timeout': '3s' })
  const open = (path: string) => openPeer({ port: proxy.port, host: '127.0.0.1' }, handshake(path))
  const refused = await open('/v3/refused')
  await refused.closed
  t.match(refused.received(), /^HTTP\/1\.1 503 [^]*X-Proxy-Error: upstream_busy\r\n[^]*Retry-After: 1\r\n/)

  const left = await open('/v3/left')
  await waitFor('one waits', proxy.waiting, count => count === 1)
  left.socket.destroy()
  const leftAt = performance.now()
  await waitFor('nobody waits', proxy.waiting, count => count === 0)
  t.ok(performance.now() - leftAt < 2000, 'not by the time limit')
  const ended = await proxy.trail(rows => rows.filter(({ kind, outcome }) => kind === 'websocket' && outcome !== 'open').length === 2)
  t.match(ended.filter(({ kind }) => kind === 'websocket'), [{ outcome: 'refused', attempts: 0 }, { outcome: 'client_aborted', attempts: 0 }])

  const sent = await open('/v3/sent')
  await waitFor('one waits', proxy.waiting, count => count === 1)
  proxy.finish('/endless/1')
  t.match(await sent.until(/\r\n\r\n/), /^HTTP\/1\.1 101 /)
  t.equal((await ask(proxy.url, '/v3/beside')).status, 200, 'on the only connection there may be')
  sent.socket.destroy()
})

t.test('through a forward proxy the same holds', async t => {
  const forward = await startForwardProxy(t)
  const proxy = await startBusy(t, { '--upstream-queue-timeout': '1s' }, 1, { IZUMA_HTTPS_PROXY: forward.url })
  checkBusy(t, await ask(proxy.url, '/v3/refused'))
  const waiting = ask(proxy.url, '/v3/waiting')
  await waitFor('one waits', proxy.waiting, count => count === 1)
  proxy.finish('/endless/1')
  t.equal((await waiting).status, 200)
  t.same(proxy.seen(), ['/v3/waiting'])
  t.equal(forward.tunnels, 1)
})

t.test('time to connect is not time in the queue', async t => {
  const api = await startApi(t, (_request, response) => { response.end() })
  const relay = await startRelay(api.port)
  t.teardown(() => relay.close())
  relay.up.timeoutMs = 0
  const start = (flags: Record<string, string>) => startProxy(t, { api: { ...api, origin: `https://127.0.0.1:${relay.port}` }, accessKey, flags: { '--channel': 'off', '--upstream-warm-connections': '0', ...flags } })

  await t.test('whose connection is being made has all the time to connect; who must not make one waits in the queue', async t => {
    const proxy = await start({ '--upstream-connections': '2', '--upstream-connect-timeout': '2s', '--upstream-queue-timeout': '500ms' })
    const connecting = [timed(ask(proxy.url, '/v3/one')), timed(ask(proxy.url, '/v3/two'))]
    await waitFor('two connect', () => relay.accepted, count => count === 2)
    checkBusy(t, await ask(proxy.url, '/v3/three'))
    for (const { status, headers, tookMs } of await Promise.all(connecting)) {
      t.match({ status, headers }, { status: 504, headers: { 'x-proxy-error': 'upstream_timeout' } })
      t.ok(tookMs > 1900, `took ${tookMs} ms`)
    }
  })

  await t.test('a connection that could not be made leaves its place to the next one', async t => {
    const proxy = await start({ '--upstream-connections': '1', '--upstream-connect-timeout': '1s', '--upstream-queue-timeout': '30s' })
    const answers = await Promise.all([1, 2, 3].map(count => timed(ask(proxy.url, `/v3/${count}`))))
    for (const { status, headers } of answers) t.match({ status, headers }, { status: 504, headers: { 'x-proxy-error': 'upstream_timeout' } })
    const lastMs = Math.max(...answers.map(({ tookMs }) => tookMs))
    t.ok(lastMs > 2900 && lastMs < 7000, `the last took ${lastMs} ms`)
  })
})

t.test('a proxy that drains still sends what waits', async t => {
  const proxy = await startBusy(t, { '--upstream-queue-timeout': '30s' })
  const waiting = ask(proxy.url, '/v3/devices')
  await waitFor('one waits', proxy.waiting, count => count === 1)
  const drained = drain(proxy.app, { timeoutMs: 10_000 })
  setTimeout(() => proxy.finish('/endless/1'), 200)
  t.equal((await waiting).status, 200)
  t.match(await drained, { forced: false })
})

t.test('a drain ends in its time, whoever waits, and what waited is not sent', async t => {
  const proxy = await startBusy(t, { '--upstream-queue-timeout': '30s' })
  const waiting = ask(proxy.url, '/v3/devices').catch(() => undefined)
  await waitFor('one waits', proxy.waiting, count => count === 1)
  const drained = await drain(proxy.app, { timeoutMs: 1500 })
  t.equal(drained.forced, true)
  t.ok(drained.tookMs < 2000, `took ${drained.tookMs} ms`)
  await waiting
  t.same(proxy.seen(), [])
})

t.test('as many leave as like, before their turn and in the moment of it, and no place is lost', async t => {
  const proxy = await startBusy(t, { '--upstream-queue-timeout': '1m' }, 3)
  const waiting = Array.from({ length: 60 }, (_, index) => {
    const leaving = new AbortController()
    const path = `/v3/${index}`
    return { path, leave: () => leaving.abort(), answer: ask(proxy.url, path, { signal: leaving.signal }).then(({ status }) => status, () => 'left') }
  })
  await waitFor('all wait', proxy.waiting, count => count === 60)
  const [early, inTheMoment, staying] = [0, 1, 2].map(rest => waiting.filter((_, index) => index % 3 === rest)) as [typeof waiting, typeof waiting, typeof waiting]
  for (const { leave } of early) leave()
  await waitFor('the others wait', proxy.waiting, count => count === 40)
  for (const count of [1, 2, 3]) proxy.finish(`/endless/${count}`)
  for (const { leave, answer } of inTheMoment) {
    leave()
    await answer
  }
  t.same(await Promise.all(early.map(({ answer }) => answer)), early.map(() => 'left'))
  t.same(await Promise.all(staying.map(({ answer }) => answer)), staying.map(() => 200))
  t.same(proxy.seen().filter(url => early.some(({ path }) => path === url)), [], 'who left before was not sent')
  const all = await Promise.all(Array.from({ length: 50 }, (_, index) => ask(proxy.url, `/v3/after/${index}`)))
  t.ok(all.every(({ status }) => status === 200))
  t.equal(await proxy.waiting(), 0)
})
