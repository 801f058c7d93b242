import t, { type Test } from 'tap'
import { ask, type Answer } from '../support/client.ts'
import { startApi, startRawApi } from '../support/api-server.ts'
import { makeAuthority } from '../support/certificates.ts'
import { makeAccessKey, startProxy, type StartedProxy } from '../support/proxy.ts'
import { startRelay } from '../support/relay.ts'
import type { TLSSocket } from 'node:tls'

const accessKey = makeAccessKey()
const { ca } = makeAuthority()
const closed = (rows: Array<{ outcome: string }>) => rows.length > 0 && rows.every(row => row.outcome !== 'open')

async function timed (asking: Promise<Answer>): Promise<Answer & { tookMs: number }> {
  const startedAt = performance.now()
  return Object.assign(await asking, { tookMs: performance.now() - startedAt })
}

function checkOwnError (t: Test, answer: Answer, status: number, type: string): void {
  t.equal(answer.status, status)
  t.equal(answer.headers['x-proxy-error'], type)
  const body = JSON.parse(answer.text) as Record<string, unknown>
  t.match(body, { object: 'error', code: status, type, message: String, request_id: answer.headers['x-proxy-request-id'] })
  t.equal(answer.headers['x-request-id'], answer.headers['x-proxy-request-id'])
  t.notMatch(answer.text, /127\.0\.0\.1|ECONN|HPE_|UND_ERR|socket/, 'no address and no cause')
}

t.test('nobody listens at the API: 502 within a second', async t => {
  const relay = await startRelay(1)
  await relay.close()
  const proxy = await startProxy(t, { api: { origin: `https://127.0.0.1:${relay.port}`, ca }, accessKey })
  const answer = await timed(ask(proxy.url, '/v3/devices'))
  checkOwnError(t, answer, 502, 'upstream_unreachable')
  t.ok(answer.tookMs < 1000, `took ${answer.tookMs} ms`)
})

t.test('a name that does not resolve: 502 within six seconds', async t => {
  const proxy = await startProxy(t, { api: { origin: 'https://no-such-host.invalid', ca }, accessKey })
  const answer = await timed(ask(proxy.url, '/v3/devices'))
  checkOwnError(t, answer, 502, 'upstream_unreachable')
  t.ok(answer.tookMs < 6000)
})

t.test('the API takes connections but says nothing, not even TLS: 504 when the time to connect is up', async t => {
  const api = await startApi(t, (_request, response) => { response.end() })
  const relay = await startRelay(api.port)
  t.teardown(() => relay.close())
  relay.up.timeoutMs = 0
  const proxy = await startProxy(t, { api: { ...api, origin: `https://127.0.0.1:${relay.port}` }, accessKey, flags: { '--upstream-connect-timeout': '1s' } })
  const answer = await timed(ask(proxy.url, '/v3/devices'))
  checkOwnError(t, answer, 504, 'upstream_timeout')
  t.ok(answer.tookMs > 900 && answer.tookMs < 2600, `took ${answer.tookMs} ms`)
})

t.test('no headers come: 504 at the limit, and the connection is not used again', async t => {
  const api = await startApi(t, (request, response) => { if (request.url === '/fine') response.end('ok') })
  const proxy = await startProxy(t, { api, accessKey, flags: { '--upstream-headers-timeout': '2s' } })
  const answer = await timed(ask(proxy.url, '/silent'))
  checkOwnError(t, answer, 504, 'upstream_timeout')
  t.ok(answer.tookMs > 1900 && answer.tookMs < 3100, `took ${answer.tookMs} ms`)
  t.equal((await ask(proxy.url, '/fine')).text, 'ok')
  t.equal(api.seen.filter(({ url }) => url === '/silent').length, 1, 'one attempt')
})

const garbage: Record<string, string> = {
  'what is no HTTP': 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
  'two different lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc',
  'a length beside chunked': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
  'a bad status': 'HTTP/1.1 9999 Strange\r\n\r\n',
  'a head of 20 KiB': `HTTP/1.1 200 OK\r\nX-Long: ${'x'.repeat(20_480)}\r\n\r\n`,
  'a 101 that nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  'a NUL in a header': 'HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 0\r\n\r\n',
  'a header name with a space': 'HTTP/1.1 200 OK\r\nX Y: a\r\nContent-Length: 0\r\n\r\n',
  'the end of the connection': ''
}

for (const [what, bytes] of Object.entries(garbage)) {
  t.test(`the API answers ${what}: 502 after one attempt, and the next request is fine`, async t => {
    const api = await startRawApi(t, (socket, head) => {
      if (head.startsWith('GET /fine')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine')
      else if (bytes === '') socket.destroy()
      else socket.write(bytes, 'latin1')
    })
    const proxy = await startProxy(t, { api, accessKey, flags: { '--upstream-warm-connections': '0', '--upstream-headers-timeout': '2s' } })
    for (const method of ['GET', 'POST']) checkOwnError(t, await ask(proxy.url, '/bad', { method }), 502, 'upstream_invalid_response')
    t.equal((await ask(proxy.url, '/fine')).text, 'fine')
    t.equal(api.received.join('').split(' /bad ').length - 1, 2, 'one attempt each')
  })
}

t.test('a reset before any byte: 502 after one attempt on a new connection', async t => {
  const api = await startRawApi(t, () => api.reset())
  const proxy = await startProxy(t, { api, accessKey, flags: { '--upstream-warm-connections': '0' } })
  checkOwnError(t, await ask(proxy.url, '/v3/devices'), 502, 'upstream_invalid_response')
  t.equal(api.connections, 1)
})

const inside = {
  'with a length': 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf',
  chunked: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'
}
for (const [what, bytes] of Object.entries(inside)) {
  t.test(`a connection lost inside a body ${what} never looks like a whole answer`, async t => {
    const api = await startRawApi(t, socket => { socket.write(bytes); setTimeout(() => socket.destroy(), 50) })
    const proxy = await startProxy(t, { api, accessKey })
    const answer = await ask(proxy.url, '/v3/devices')
    t.equal(answer.complete, false)
    t.equal(answer.text, 'half')
    t.match(await proxy.trail(closed), [{ outcome: 'truncated', status: 200, bytes_out: 4, attempts: 1 }])
  })
}

t.test('a body that stalls is cut off at the idle limit; an event stream is not', async t => {
  const api = await startApi(t, (_request, response) => { response.writeHead(200, { 'Content-Type': 'text/plain' }); response.write('begun') })
  const proxy = await startProxy(t, { api, accessKey, flags: { '--upstream-body-idle-timeout': '1s' } })
  const cut = await timed(ask(proxy.url, '/v3/slow'))
  t.equal(cut.complete, false)
  t.ok(cut.tookMs > 900 && cut.tookMs < 2600, `took ${cut.tookMs} ms`)
  const stream = ask(proxy.url, '/v3/slow', { headers: { Accept: 'text/event-stream' }, signal: AbortSignal.timeout(2500) })
  await t.rejects(stream.then(answer => { if (!answer.complete) throw Object.assign(new Error(answer.text), { name: 'AbortError' }) }), { name: 'AbortError' }, 'still open when the test left')
})

for (const status of [429, 503]) {
  t.test(`${status} with Retry-After passes unchanged after one attempt`, async t => {
    const api = await startApi(t, (_request, response) => { response.writeHead(status, { 'Retry-After': '2', 'Content-Type': 'application/json' }); response.end('{"type":"busy"}') })
    const proxy = await startProxy(t, { api, accessKey })
    const answer = await ask(proxy.url, '/v3/devices')
    t.match(answer, { status, text: '{"type":"busy"}', headers: { 'retry-after': '2' } })
    t.equal(answer.headers['x-proxy-error'], undefined)
    t.equal(api.seen.length, 1)
  })
}

async function startStale (t: Test): Promise<{ proxy: StartedProxy, api: Awaited<ReturnType<typeof startRawApi>> }> {
  // Answers the first request of a connection, and drops the connection when a second one comes.
  const requests = new Map<TLSSocket, number>()
  const api = await startRawApi(t, socket => {
    const count = (requests.get(socket) ?? 0) + 1
    requests.set(socket, count)
    if (count === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok')
    else socket.destroy()
  })
  return { api, proxy: await startProxy(t, { api, accessKey, flags: { '--upstream-warm-connections': '0', '--upstream-connections': '1' } }) }
}

t.test('an idempotent request lost on a reused connection is sent once more, and the trail says so', async t => {
  const { proxy, api } = await startStale(t)
  t.equal((await ask(proxy.url, '/one')).text, 'ok')
  t.equal((await ask(proxy.url, '/two')).text, 'ok')
  t.equal(api.connections, 2)
  t.match(await proxy.trail(rows => rows.length === 2 && closed(rows)), [{ attempts: 1 }, { attempts: 2, outcome: 'answered', status: 200 }])
})

t.test('a POST lost on a reused connection is not sent again', async t => {
  const { proxy } = await startStale(t)
  t.equal((await ask(proxy.url, '/one')).text, 'ok')
  checkOwnError(t, await ask(proxy.url, '/two', { method: 'POST', body: 'x' }), 502, 'upstream_invalid_response')
})

t.test('odd but legal answers pass: 304 with a length, 204, HEAD, early hints, trailers, duplicate headers', async t => {
  const answers: Record<string, string> = {
    '/304': 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "x"\r\n\r\n',
    '/204': 'HTTP/1.1 204 No Content\r\n\r\n',
    '/head': 'HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n',
    '/103': 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    '/trailer': 'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n',
    '/trailer-and-length': 'HTTP/1.1 200 OK\r\nTrailer: x\r\nContent-Length: 2\r\n\r\nok',
    '/twice': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Twice: a\r\nX-Twice: b\r\nWarning: 199 - "one"\r\nWarning: 199 - "two"\r\n\r\nok'
  }
  const api = await startRawApi(t, (socket, head) => { socket.end(answers[head.split(' ')[1] ?? ''] ?? '') })
  const proxy = await startProxy(t, { api, accessKey, flags: { '--upstream-warm-connections': '0' } })
  t.match(await ask(proxy.url, '/304'), { status: 304, text: '', headers: { etag: '"x"' } })
  t.match(await ask(proxy.url, '/204'), { status: 204, text: '' })
  t.match(await ask(proxy.url, '/head', { method: 'HEAD' }), { status: 200, headers: { 'content-length': '12345' } })
  for (const path of ['/103', '/trailer', '/trailer-and-length']) t.match(await ask(proxy.url, path), { status: 200, text: 'ok', complete: true }, path)
  const { rawHeaders } = await ask(proxy.url, '/twice')
  t.same(rawHeaders.filter((_, index) => rawHeaders[index - 1] === 'X-Twice'), ['a', 'b'])
  t.equal(rawHeaders.filter(name => name === 'Warning').length, 2)
})

t.test('the upstream request ends within a second when its client leaves: before headers, inside the answer, inside an upload', async t => {
  const gone: string[] = []
  const api = await startApi(t, (request, response) => {
    const url = request.url ?? ''
    response.on('close', () => gone.push(url))
    request.on('error', () => {}).resume()
    if (url === '/answering') { response.writeHead(200); response.write('x') }
  })
  const proxy = await startProxy(t, { api, accessKey })
  for (const path of ['/waiting', '/answering']) {
    const leaving = new AbortController()
    const asked = ask(proxy.url, path, { signal: leaving.signal }).catch(() => {})
    while (!api.seen.some(({ url }) => url === path)) await new Promise(resolve => setTimeout(resolve, 5))
    const leftAt = performance.now()
    leaving.abort()
    await asked
    while (!gone.includes(path)) await new Promise(resolve => setTimeout(resolve, 5))
    t.ok(performance.now() - leftAt < 1000, path)
  }
  const { request } = await import('node:http')
  const upload = request(proxy.url + '/uploading', { method: 'POST', agent: false, headers: { 'Content-Length': '1000' } }).on('error', () => {})
  upload.write('half')
  while (!api.seen.some(({ url }) => url === '/uploading')) await new Promise(resolve => setTimeout(resolve, 5))
  const leftAt = performance.now()
  upload.destroy()
  while (!gone.includes('/uploading')) await new Promise(resolve => setTimeout(resolve, 5))
  t.ok(performance.now() - leftAt < 1000)
  t.match(await proxy.trail(rows => rows.length === 3 && closed(rows)), [{ outcome: 'client_aborted' }, { outcome: 'client_aborted' }, { outcome: 'client_aborted' }])
})

t.test('an answer that comes before the upload is whole reaches the client', async t => {
  const api = await startApi(t, (_request, response) => { response.writeHead(413, { Connection: 'close' }); response.end('too large') })
  const proxy = await startProxy(t, { api, accessKey })
  const answer = await ask(proxy.url, '/v3/firmware-images', { method: 'POST', body: Buffer.alloc(4 * 1024 * 1024) })
  t.match(answer, { status: 413, text: 'too large' })
})
