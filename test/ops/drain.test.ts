import type { AddressInfo } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import t, { type Test } from 'tap'
import drainPlugin from '../../src/ops/drain-plugin.ts'
import { drain } from '../../src/ops/drain.ts'
import { makeAuthority, type Certificate } from '../support/certificates.ts'
import { buildOpsApp } from '../support/ops-app.ts'
import { openPeer, watchSocket, type Peer } from '../support/sockets.ts'

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

/** Serves `/held` until `release()`, `/quick` at once, and upgrades that are closed as a room would on a drain. */
async function buildDrainable (t: Test, https?: Certificate) {
  const app = await buildOpsApp({ environment: { PROXY_HEALTH_LISTEN: '127.0.0.1:0' }, ...(https && { https }) })
  await app.register(fastifyPlugin(async () => {}, { name: 'trail' }))
  await app.register(drainPlugin)
  let release = () => {}
  const released = new Promise<void>(resolve => { release = resolve })
  app.get('/held', async () => { await released; return { answered: true } })
  app.get('/quick', async () => ({ answered: true }))
  app.get('/streamed', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, ['Content-Type', 'text/plain'])
    reply.raw.write('begin ')
    released.then(() => reply.raw.end('end'))
  })
  app.server.on('upgrade', (_request, socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    app.health.onDrain(() => socket.end(Buffer.from([0x88, 0x02, 0x03, 0xe9])))
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => {
    release()
    app.connections.closeAll()
    await app.close()
  })
  const { port } = app.server.address() as AddressInfo
  return { app, release, open: (text?: string) => openPeer({ port, host: '127.0.0.1' }, text) }
}

function secondListener (app: FastifyInstance): string {
  return `http://127.0.0.1:${(app.healthListener?.server.address() as AddressInfo).port}`
}

async function openTlsPeer (app: FastifyInstance, text: string): Promise<Peer> {
  const socket = connectTls({ port: (app.server.address() as AddressInfo).port, host: '127.0.0.1', rejectUnauthorized: false })
  const peer = watchSocket(socket)
  await new Promise(resolve => { socket.once('secureConnect', resolve) })
  socket.write(text)
  return peer
}

const openMany = (count: number, open: () => Promise<Peer>) => Promise.all(Array.from({ length: count }, open))

t.test('50 answers in flight are finished, 100 idle, 20 silent and 100 upgraded connections are let go', async t => {
  const { app, release, open } = await buildDrainable(t)
  const idle = await openMany(100, () => open(get('/quick')))
  await Promise.all(idle.map(peer => peer.until(/answered/)))
  const silent = await openMany(20, () => open())
  const upgraded = await openMany(100, () => open('GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'))
  await Promise.all(upgraded.map(peer => peer.until(/101/)))
  const inFlight = await openMany(50, () => open(get('/held')))
  while (app.connections.openAnswers < 50) await new Promise(resolve => { setImmediate(resolve) })

  // What an answer takes on this machine now, with everything else that runs on it, is no delay of the drain.
  const askedAt = Date.now()
  t.equal((await fetch(`${secondListener(app)}/_proxy/readyz`)).status, 200)
  const usualMs = Date.now() - askedAt
  const startedAt = Date.now()
  const drained = drain(app, { timeoutMs: 10_000 })
  const readiness = await fetch(`${secondListener(app)}/_proxy/readyz`)
  t.equal(readiness.status, 503)
  t.ok(Date.now() - startedAt <= 100 + 4 * usualMs, `readiness red after ${Date.now() - startedAt} ms, an answer taking ${usualMs}`)
  await t.rejects(open(), { code: 'ECONNREFUSED' }, 'refuses newcomers')

  for (const peer of [...idle, ...silent, ...upgraded]) t.ok(await peer.closed - startedAt < 500 + 10 * usualMs)
  t.ok(upgraded.every(peer => peer.received().endsWith('\x88\x02\x03\xe9')), 'WebSockets got 1001')
  t.equal(app.connections.openAnswers, 50, 'nobody in flight was cut off')

  const releasedAt = Date.now()
  release()
  t.match(await drained, { forced: false })
  t.ok(Date.now() - releasedAt < 1000, `done ${Date.now() - releasedAt} ms after the last answer`)
  for (const peer of inFlight) {
    await peer.closed
    t.match(peer.received(), /200 OK[^]*connection: close[^]*"answered":true/i)
  }
})

t.test('an answer whose headers are out already is finished, then its connection is closed', async t => {
  const { app, release, open } = await buildDrainable(t)
  const peer = await open(get('/streamed'))
  await peer.until(/begin/)
  const drained = drain(app, { timeoutMs: 10_000 })
  release()
  t.match(await drained, { forced: false })
  await peer.closed
  t.match(peer.received(), /end\r\n0\r\n\r\n$/)
})

t.test('a request that still comes in on a kept connection is refused, so that it can be sent elsewhere', async t => {
  const { app, release, open } = await buildDrainable(t)
  const peer = await open(get('/streamed'))
  await peer.until(/begin/)
  const drained = drain(app, { timeoutMs: 10_000 })
  peer.socket.write(get('/quick'))
  while (app.connections.openAnswers < 2) await new Promise(resolve => { setImmediate(resolve) })
  release()
  await drained
  await peer.closed
  t.match(peer.received(), /begin[^]*end[^]*HTTP\/1.1 503 [^]*connection: close[^]*"code":"draining"/i)
})

t.test('probes on a kept connection are still answered', async t => {
  const { app, release, open } = await buildDrainable(t)
  const peer = await open(get('/streamed'))
  await peer.until(/begin/)
  const drained = drain(app, { timeoutMs: 10_000 })
  peer.socket.write(get('/_proxy/livez'))
  while (app.connections.openAnswers < 2) await new Promise(resolve => { setImmediate(resolve) })
  release()
  await drained
  await peer.closed
  t.match(peer.received(), /end[^]*HTTP\/1.1 200 OK[^]*connection: close[^]*"object":"health"/i)
})

t.test('TLS: handshakes that never come are let go, answers are finished', async t => {
  const { cert, key } = makeAuthority().issue()
  const { app, release, open } = await buildDrainable(t, { cert, key })
  const silent = await open()
  const busy = await openTlsPeer(app, get('/held'))
  const idle = await openTlsPeer(app, get('/quick'))
  await idle.until(/answered/)
  while (app.connections.openAnswers < 1) await new Promise(resolve => { setImmediate(resolve) })
  const drained = drain(app, { timeoutMs: 10_000 })
  await Promise.all([silent.closed, idle.closed])
  t.equal(app.connections.openAnswers, 1)
  release()
  t.match(await drained, { forced: false })
  await busy.closed
  t.match(busy.received(), /200 OK[^]*connection: close[^]*answered/i)
})

t.test('what does not end is cut off in time, and the process is not kept', async t => {
  const { app, open } = await buildDrainable(t)
  const peer = await open(get('/held'))
  while (app.connections.openAnswers < 1) await new Promise(resolve => { setImmediate(resolve) })
  const startedAt = Date.now()
  const drained = await drain(app, { timeoutMs: 500 })
  t.match(drained, { forced: true })
  t.ok(Date.now() - startedAt < 800)
  await peer.closed
})

t.test('a plugin that never closes does not hold the end up', async t => {
  const app = await buildOpsApp()
  await app.register(fastifyPlugin(async () => {}, { name: 'trail' }))
  await app.register(drainPlugin)
  let stuck = () => {}
  app.addHook('onClose', () => new Promise<void>(resolve => { stuck = resolve }))
  await app.listen({ port: 0 })
  t.match(await drain(app, { timeoutMs: 300 }), { forced: true })
  stuck()
})
