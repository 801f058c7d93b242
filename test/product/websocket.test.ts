import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { drain } from '../../src/ops/drain.ts'
import { startApi, startRawApi } from '../support/api-server.ts'
import { ask } from '../support/client.ts'
import { makeAccessKey, startProxy, type StartedProxy } from '../support/proxy.ts'
import { startRelay } from '../support/relay.ts'
import { waitFor } from '../support/wait-for.ts'

const accessKey = makeAccessKey()
const path = '/v3/devices/0161/console'

/** An API that takes WebSockets; `serve` gets each one with the request it came by. */
async function startSocketApi (t: Test, serve: (socket: WebSocket, request: IncomingMessage) => void, options: ConstructorParameters<typeof WebSocketServer>[0] = {}) {
  const api = await startApi(t, (_request, response) => { response.end() })
  const sockets = new WebSocketServer({ noServer: true, ...options })
  const upgrades: IncomingMessage[] = []
  api.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    upgrades.push(request)
    sockets.handleUpgrade(request, socket, head, websocket => serve(websocket, request))
  })
  return { ...api, upgrades }
}

function dial (proxy: StartedProxy, protocols: string[] = [], options: object = {}): WebSocket {
  return new WebSocket(`ws://127.0.0.1:${proxy.port}${path}?a=%2f`, protocols, options)
}

t.test('frames pass both ways, the key goes up, and one row tells of it', async t => {
  const api = await startSocketApi(t, socket => { socket.on('message', (data, binary) => socket.send(data, { binary })) })
  const proxy = await startProxy(t, { api, accessKey })
  const socket = dial(proxy, ['wss', `pelion_${accessKey}`])
  await once(socket, 'open')
  t.equal(socket.protocol, 'wss', 'a key-bearing subprotocol is never echoed')
  for (const message of ['text', Buffer.from([0, 1, 2, 255]), 'x'.repeat(200_000)]) {
    socket.send(message)
    const [data, binary] = await once(socket, 'message') as [Buffer, boolean]
    t.equal(binary, typeof message !== 'string')
    t.same(Buffer.from(data), Buffer.from(message))
  }
  socket.close(4001, 'done')
  const [code] = await once(socket, 'close')
  t.equal(code, 4001)
  const [upgrade] = api.upgrades
  t.equal(upgrade?.headers.authorization, `Bearer ${accessKey}`)
  t.equal(upgrade?.headers['sec-websocket-protocol'], 'wss')
  t.equal(upgrade?.headers['sec-websocket-extensions'], undefined)
  t.equal(upgrade?.url, path + '?a=%2f')
  const rows = await proxy.trail(rows => rows.length === 1 && rows[0]?.outcome !== 'open')
  t.match(rows, [{ kind: 'websocket', status: 101, outcome: 'answered', close_code: 4001, attempts: 1 }])
  t.ok((rows[0]?.bytes_in ?? 0) > 200_000 && (rows[0]?.bytes_out ?? 0) > 200_000)
})

t.test("upstream's refusal is the client's answer, and there is no 101 before upstream's", async t => {
  const api = await startRawApi(t, socket => { socket.end('HTTP/1.1 426 Upgrade Required\r\nX-Request-ID: 0123456789abcdef0123456789abcdef\r\nContent-Type: application/json\r\nContent-Length: 16\r\nConnection: close\r\n\r\n{"type":"no_ws"}') })
  const proxy = await startProxy(t, { api, accessKey })
  const socket = dial(proxy)
  socket.on('error', () => {})
  const [, response] = await once(socket, 'unexpected-response') as [unknown, IncomingMessage]
  t.equal(response.statusCode, 426)
  t.equal(response.headers['x-request-id'], '0123456789abcdef0123456789abcdef')
  t.match(await proxy.trail(rows => rows.length === 1 && rows[0]?.outcome !== 'open'), [{ status: 426, outcome: 'answered', error_type: 'no_ws' }])
})

t.test('a 101 that does not answer the handshake is a 502', async t => {
  const api = await startRawApi(t, socket => { socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: d3Jvbmc=\r\n\r\n') })
  const proxy = await startProxy(t, { api, accessKey })
  const answer = await ask(proxy.url, path, { headers: handshake() })
  t.equal(answer.status, 502)
  t.equal(answer.headers['x-proxy-error'], 'upstream_invalid_response')
})

function handshake (): Record<string, string> {
  return { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version': '13' }
}

// A byte behind the upgrade request isn't a frame before a 101: it may be a second request for whoever parses next (CVE-2026-2833).
t.test('bytes that come before the WebSocket is open never reach upstream', async t => {
  const api = await startSocketApi(t, () => {})
  const proxy = await startProxy(t, { api, accessKey })
  const socket = connect(proxy.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const head = Object.entries({ Host: '127.0.0.1', ...handshake() }).map(([name, value]) => `${name}: ${value}`).join('\r\n')
  socket.write(`GET ${path} HTTP/1.1\r\n${head}\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`)
  let got = ''
  socket.on('data', (chunk: Buffer) => { got += chunk.toString('latin1') })
  await once(socket, 'close')
  t.match(got, /^HTTP\/1\.1 400 /)
  t.notOk(got.includes(' 101 '))
  t.equal(api.seen.length, 0)
})

for (const [what, headers] of Object.entries({ 'no key': { 'Sec-WebSocket-Key': '' }, 'a wrong version': { 'Sec-WebSocket-Version': '8' } })) {
  t.test(`a handshake with ${what} is refused here`, async t => {
    const api = await startSocketApi(t, () => {})
    const proxy = await startProxy(t, { api, accessKey })
    const answer = await ask(proxy.url, path, { headers: { ...handshake(), ...headers } })
    t.match(answer, { status: 400, headers: { 'x-proxy-error': 'header_invalid' } })
    t.equal(api.upgrades.length, 0)
  })
}

t.test('a page of a foreign origin gets no WebSocket', async t => {
  const api = await startSocketApi(t, () => {})
  const proxy = await startProxy(t, { api, accessKey })
  const socket = dial(proxy, [], { headers: { Origin: 'https://evil.example' } })
  socket.on('error', () => {})
  const [, response] = await once(socket, 'unexpected-response') as [unknown, IncomingMessage]
  t.equal(response.statusCode, 403)
  t.equal(api.upgrades.length, 0)
})

t.test("upstream's close code reaches the client, and an abrupt end is an abrupt end", async t => {
  const api = await startSocketApi(t, (socket, request) => {
    if (request.headers['x-how'] === 'politely') socket.close(1012, 'restart')
    else socket.terminate()
  })
  const proxy = await startProxy(t, { api, accessKey })
  t.equal((await once(dial(proxy, [], { headers: { 'X-How': 'politely' } }), 'close'))[0], 1012)
  t.equal((await once(dial(proxy), 'close'))[0], 1006)
  const rows = await proxy.trail(rows => rows.length === 2 && rows.every(row => row.outcome !== 'open'))
  t.match(rows, [{ outcome: 'answered', close_code: 1012 }, { outcome: 'truncated', close_code: null }])
})

t.test('the upstream connection ends when the client vanishes', async t => {
  let closed = false
  const api = await startSocketApi(t, socket => { socket.on('close', () => { closed = true }) })
  const proxy = await startProxy(t, { api, accessKey })
  const socket = dial(proxy)
  await once(socket, 'open')
  socket.terminate()
  await waitFor('upstream', () => closed, Boolean, 2000)
  t.match(await proxy.trail(rows => rows.length === 1 && rows[0]?.outcome !== 'open'), [{ outcome: 'client_aborted' }])
})

t.test('a peer that is silent and does not answer pings is found and cut off', async t => {
  const api = await startSocketApi(t, () => {})
  const relay = await startRelay(api.port)
  t.teardown(() => relay.close())
  const proxy = await startProxy(t, { api: { ...api, origin: `https://127.0.0.1:${relay.port}` }, accessKey, flags: { '--websocket-idle-timeout': '300ms' } })
  const socket = dial(proxy)
  await once(socket, 'open')
  await new Promise(resolve => setTimeout(resolve, 1000))
  t.equal(socket.readyState, WebSocket.OPEN, 'answered pings keep an idle WebSocket open')
  relay.up.timeoutMs = 0
  relay.down.timeoutMs = 0
  const silentSince = performance.now()
  await once(socket, 'close')
  t.ok(performance.now() - silentSince < 1500)
})

t.test('a reader that stalls holds upstream back instead of filling memory', async t => {
  let sent = 0
  const api = await startSocketApi(t, async socket => {
    socket.on('error', () => {})
    const chunk = Buffer.alloc(1024 * 1024)
    while (sent < 200 && socket.readyState === WebSocket.OPEN) {
      await new Promise<void>(resolve => socket.send(chunk, () => resolve()))
      sent++
    }
  })
  const proxy = await startProxy(t, { api, accessKey })
  const before = process.memoryUsage().rss
  const socket = dial(proxy, [], { maxPayload: 2 * 1024 * 1024 })
  await once(socket, 'open')
  socket.pause()
  await new Promise(resolve => setTimeout(resolve, 1500))
  t.ok(sent < 40, `${sent} MiB were taken from upstream for a reader that takes none`)
  t.ok(process.memoryUsage().rss - before < 150 * 1024 * 1024)
  socket.terminate()
})

t.test('draining closes WebSockets with 1001', async t => {
  const api = await startSocketApi(t, () => {})
  const proxy = await startProxy(t, { api, accessKey })
  const sockets = Array.from({ length: 20 }, () => dial(proxy))
  await Promise.all(sockets.map(socket => once(socket, 'open')))
  const codes = Promise.all(sockets.map(async socket => (await once(socket, 'close'))[0] as number))
  await drain(proxy.app, { timeoutMs: 5000 })
  t.same(new Set(await codes), new Set([1001]))
})
