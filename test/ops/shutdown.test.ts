import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { startApi } from '../support/api-server.ts'
import { startProcess } from '../support/process.ts'
import { makeKey } from '../support/synthetic-keys.ts'
import { openPeer, type Peer } from '../support/sockets.ts'
import { waitFor } from '../support/wait-for.ts'

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
const upgrade = `GET /v3/devices/d/console HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}\r\n\r\n`
/** An unmasked close frame: a length that fits in a control frame, and the code. */
// eslint-disable-next-line no-control-regex -- frames are binary
const closeWith1001 = /\x88[\x02-\x7d]\x03\xe9/
const acceptOf = (key: string) => createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')

/** `start` as a process, before an API that holds `/held` back until it is released and accepts WebSockets. */
async function startHeld (t: Test, environment: Record<string, string> = {}) {
  const held: ServerResponse[] = []
  const api = await startApi(t, (request, response) => {
    if (request.url?.startsWith('/held')) held.push(response)
    else response.end('{}')
  })
  api.server.on('upgrade', (request, socket) => {
    socket.on('error', () => {})
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(String(request.headers['sec-websocket-key']))}\r\n\r\n`)
  })
  const cwd = mkdtempSync(join(tmpdir(), 'shutdown-'))
  t.teardown(() => rmSync(cwd, { recursive: true, force: true }))
  writeFileSync(join(cwd, 'ca.pem'), api.ca)
  writeFileSync(join(cwd, 'key'), makeKey(), { mode: 0o600 })
  const proxy = await startProcess(t, ['--listen', '127.0.0.1:0', '--api-host', api.origin, '--ca-file', 'ca.pem', '--access-key-file', 'key'], { cwd, environment: { PROXY_QUIT_ENDPOINT: 'true', ...environment } })
  const port = Number(new URL(proxy.url).port)
  const exited = new Promise<number | null>(resolve => { proxy.child.once('exit', resolve) })
  return { proxy, held, port, exited, open: (text?: string) => openPeer({ port, host: '127.0.0.1' }, text) }
}

const openMany = (count: number, open: () => Promise<Peer>) => Promise.all(Array.from({ length: count }, open))

t.test('SIGTERM: 50 in flight end, 100 idle, 20 silent and 100 WebSockets are let go, exit 0', async t => {
  const { proxy, held, open, exited } = await startHeld(t)
  const idle = await openMany(100, () => open(get('/v3/quick')))
  await Promise.all(idle.map(peer => peer.until(/\{\}/)))
  const silent = await openMany(20, () => open())
  const websockets = await openMany(100, () => open(upgrade))
  await Promise.all(websockets.map(peer => peer.until(/ 101 /)))
  const inFlight = await openMany(50, () => open(get('/held')))
  await waitFor('50 requests at the API', () => held.length, count => count === 50)

  const signalledAt = Date.now()
  proxy.child.kill('SIGTERM')
  for (const peer of [...idle, ...silent]) t.ok(await peer.closed - signalledAt < 1000)
  for (const peer of websockets) {
    await peer.until(closeWith1001)
    peer.socket.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]))
    await peer.closed
  }
  await t.rejects(open(), { code: 'ECONNREFUSED' })

  const releasedAt = Date.now()
  for (const response of held) response.end('done')
  t.equal(await exited, 0)
  t.ok(Date.now() - releasedAt < 1500, `ended ${Date.now() - releasedAt} ms after the last answer`)
  for (const peer of inFlight) {
    await peer.closed
    t.match(peer.received(), /^HTTP\/1.1 200 [^]*connection: close[^]*done/i)
  }
  t.match(proxy.output(), /"forced":false/)
})

t.test('what never ends is cut off at PROXY_DRAIN_TIMEOUT, and the exit code is still 0', async t => {
  const { proxy, held, open, exited } = await startHeld(t, { PROXY_DRAIN_TIMEOUT: '1s' })
  const peer = await open(get('/held'))
  await waitFor('the request at the API', () => held.length, count => count === 1)
  const signalledAt = Date.now()
  proxy.child.kill('SIGTERM')
  t.equal(await exited, 0)
  const tookMs = Date.now() - signalledAt
  t.ok(tookMs > 800 && tookMs < 2500, `${tookMs} ms`)
  await peer.closed
  t.match(proxy.output(), /"forced":true/)
})

t.test('a second signal ends it at once', async t => {
  const { proxy, held, open, exited } = await startHeld(t)
  await open(get('/held'))
  await waitFor('the request at the API', () => held.length, count => count === 1)
  proxy.child.kill('SIGTERM')
  await waitFor('the drain', proxy.output, text => text.includes('"draining"'))
  const signalledAt = Date.now()
  proxy.child.kill('SIGTERM')
  t.not(await exited, 0)
  // By itself it would wait 10 s for the request.
  t.ok(Date.now() - signalledAt < 5000, `${Date.now() - signalledAt} ms`)
})

t.test('the quit endpoint ends it as SIGTERM does', async t => {
  const { exited, port } = await startHeld(t)
  const status = await new Promise(resolve => { request({ port, host: '127.0.0.1', method: 'POST', path: '/_proxy/quit' }, answer => { answer.resume(); resolve(answer.statusCode) }).end() })
  t.equal(status, 202)
  t.equal(await exited, 0)
})

t.test('SIGHUP drops nobody', async t => {
  const { proxy, held, open } = await startHeld(t)
  const websocket = await open(upgrade)
  await websocket.until(/ 101 /)
  const inFlight = await open(get('/held'))
  await waitFor('the request at the API', () => held.length, count => count === 1)
  proxy.child.kill('SIGHUP')
  const other = await open(get('/v3/quick'))
  await other.until(/\{\}/)
  held[0]?.end('done')
  await inFlight.until(/done/)
  t.notOk(websocket.socket.destroyed)
  t.equal(await proxy.stop(), 0)
})
