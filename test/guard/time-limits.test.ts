import { connect } from 'node:net'
import t from 'tap'
import { startGuardedApp } from '../support/guarded-app.ts'
import { openPeer } from '../support/sockets.ts'

const host = '127.0.0.1'

t.test('closes a connection that never sends a byte, without an answer or an entry', async t => {
  const { app, port, entries } = await startGuardedApp({ settings: { clientHeadersTimeout: 200 } })
  t.teardown(() => app.close())
  const silent = await openPeer({ port, host })
  const start = Date.now()
  const took = await silent.closed - start
  t.ok(took >= 150 && took < 1500, `${took} ms`)
  t.equal(silent.received(), '')
  t.equal(entries.length, 0)
})

t.test('slow headers get 408, however steadily they come', async t => {
  const { app, port, entries } = await startGuardedApp({ settings: { clientHeadersTimeout: 300 } })
  t.teardown(() => app.close())
  const slow = await openPeer({ port, host }, 'GET /v3/devices HTTP/1.1\r\nHost: localhost\r\n')
  const drip = setInterval(() => slow.socket.write('X: y\r\n'), 20)
  await slow.closed
  clearInterval(drip)
  t.match(slow.received(), /^HTTP\/1\.1 408 [^]*"type":"request_timeout"/)
  t.match(entries, [{ status: 408, error_type: 'request_timeout', outcome: 'refused' }])
})

t.test('a client that leaves inside its headers is refused in the trail', async t => {
  const { app, port, entries } = await startGuardedApp()
  t.teardown(() => app.close())
  const peer = await openPeer({ port, host }, 'GET /v3/devices HTTP/1.1\r\nHost: local')
  peer.socket.end()
  await peer.closed
  t.match(entries, [{ status: 400, error_type: 'header_invalid', outcome: 'refused' }])
})

const upload = 'POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n'
const bodyLimit = { settings: { clientBodyIdleTimeout: 300 } }

t.test('a body that stops is cut off with 408, in its own entry', async t => {
  const { app, port, entries } = await startGuardedApp({ ...bodyLimit, serve: () => new Promise(() => {}) })
  t.teardown(() => app.close())
  const slow = await openPeer({ port, host }, upload + 'some')
  await slow.closed
  t.match(slow.received(), /^HTTP\/1\.1 408 [^]*"type":"request_timeout"/)
  t.match(entries, [{ path: '/upload', status: 408, error_type: 'request_timeout' }])
  t.equal(entries.length, 1)
})

t.test('a body that dribbles is cut off too', async t => {
  const { app, port } = await startGuardedApp({ ...bodyLimit, serve: request => new Promise(() => { request.raw.resume() }) })
  t.teardown(() => app.close())
  const slow = await openPeer({ port, host }, upload)
  const drip = setInterval(() => slow.socket.write('x'), 20)
  await slow.closed
  clearInterval(drip)
  t.match(slow.received(), /^HTTP\/1\.1 408 /)
})

t.test('so is the body behind an answer that came early', async t => {
  const { app, port } = await startGuardedApp({ ...bodyLimit, serve: async () => ({ early: true }) })
  t.teardown(() => app.close())
  const slow = await openPeer({ port, host }, upload + 'x'.repeat(70_000))
  await slow.closed
  t.match(slow.received(), /^HTTP\/1\.1 200 /)
})

t.test('a slow body that moves may take longer than the limit', async t => {
  const { app, port } = await startGuardedApp({ ...bodyLimit, serve: request => new Promise(resolve => { request.raw.resume().once('end', () => resolve({ done: true })) }) })
  t.teardown(() => app.close())
  const peer = await openPeer({ port, host }, upload)
  const piece = 'x'.repeat(10_000)
  for (let sent = 0; sent < 100_000; sent += piece.length) {
    peer.socket.write(piece)
    await new Promise(resolve => setTimeout(resolve, 80))
  }
  t.match(await peer.until(/done/), /^HTTP\/1\.1 200 /)
  peer.socket.destroy()
})

t.test('a client is not blamed for a server that reads slowly', async t => {
  const { app, port } = await startGuardedApp({
    ...bodyLimit,
    serve: request => new Promise(resolve => { setTimeout(() => request.raw.resume().once('end', () => resolve({ done: true })), 1000) })
  })
  t.teardown(() => app.close())
  const peer = await openPeer({ port, host }, upload + 'x'.repeat(100_000))
  t.match(await peer.until(/done/), /^HTTP\/1\.1 200 /)
  peer.socket.destroy()
})

t.test('an answer under way on the same connection is not replaced by a 408', async t => {
  const { app, port } = await startGuardedApp({ ...bodyLimit, serve: request => new Promise(() => { request.raw.resume() }) })
  t.teardown(() => app.close())
  const peer = await openPeer({ port, host }, 'GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n' + upload)
  await peer.closed
  t.equal(peer.received(), '')
})

t.test('hundreds of connections that do nothing do not stand in the way of others', async t => {
  const { app, port } = await startGuardedApp()
  t.teardown(() => app.close())
  const idle = Array.from({ length: 400 }, () => connect({ port, host }).on('error', () => {}))
  t.teardown(() => { for (const socket of idle) socket.destroy() })
  const peer = await openPeer({ port, host }, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  t.match(await peer.until(/target/), /^HTTP\/1\.1 200 /)
  peer.socket.destroy()
})
