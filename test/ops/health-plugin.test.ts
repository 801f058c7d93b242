import type { AddressInfo } from 'node:net'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { buildOpsApp, program } from '../support/ops-app.ts'

async function read (url: string, init?: RequestInit) {
  const answer = await fetch(url, init)
  const text = await answer.text()
  return { status: answer.status, headers: answer.headers, body: (text === '' ? null : JSON.parse(text)) as Record<string, unknown> }
}

t.test('livez answers whatever the parts say', async t => {
  const app = await buildOpsApp()
  t.teardown(() => app.close())
  app.health.register('access-key', () => ({ state: 'failed', ready: false }))
  app.health.beginDrain()
  const url = await app.listen({ port: 0 })
  const { status, headers, body } = await read(`${url}/_proxy/livez`)
  t.equal(status, 200)
  t.equal(headers.get('cache-control'), 'no-store')
  t.match(body, { object: 'health', state: 'ok' })
})

t.test('readyz is red while a part is not ready, names it and its reason, and shows no other detail', async t => {
  const app = await buildOpsApp()
  t.teardown(() => app.close())
  let ready = false
  app.health.register('access-key', () => ({ state: ready ? 'ok' : 'failed', ready, details: { reason: 'no such file', path: '/run/secrets/key' } }))
  const url = await app.listen({ port: 0 })
  const red = await read(`${url}/_proxy/readyz`)
  t.equal(red.status, 503)
  t.same(red.body['failing'], { 'access-key': { state: 'failed', ready: false, reason: 'no such file' } })
  ready = true
  t.match(await read(`${url}/_proxy/readyz`), { status: 200, body: { ready: true, failing: {} } })
})

t.test('readyz is red from the beginning of a drain', async t => {
  const app = await buildOpsApp()
  t.teardown(() => app.close())
  const url = await app.listen({ port: 0 })
  app.health.beginDrain()
  t.match(await read(`${url}/_proxy/readyz`), { status: 503, body: { ready: false, draining: true } })
})

t.test('status shows parts, versions, uptime and, to an admin, the settings without secrets', async t => {
  const app = await buildOpsApp({ environment: { IZUMA_ACCESS_KEY: 'a-secret-of-this-test', PROXY_TRAIL: 'postgres://u:pw-of-this-test@h/d', PROXY_DRAIN_TIMEOUT: '90s' } })
  t.teardown(() => app.close())
  app.health.register('trail', () => ({ state: 'degraded', ready: true, details: { lag_ms: 900 } }))
  const url = await app.listen({ port: 0 })
  const { status, body } = await read(`${url}/_proxy/status`)
  t.equal(status, 200)
  t.match(body, { object: 'status', state: 'degraded', ready: true, ...program, uptime_seconds: Number, parts: { trail: { details: { lag_ms: 900 } } } })
  t.match(body['settings'], { IZUMA_ACCESS_KEY: 'set (not shown)', PROXY_TRAIL: 'set (not shown)', PROXY_DRAIN_TIMEOUT: '90s', PROXY_LISTEN: '127.0.0.1:8080' })
  t.notMatch(JSON.stringify(body), /of-this-test/)
})

t.test('status keeps the settings from a member who is no admin', async t => {
  const app = await buildOpsApp({ role: 'member' })
  t.teardown(() => app.close())
  const url = await app.listen({ port: 0 })
  const { body } = await read(`${url}/_proxy/status`)
  t.match(body, { object: 'status', state: 'ok' })
  t.notOk('settings' in body)
})

t.test('status goes through redaction before it goes out', async t => {
  const app = await buildOpsApp({ redact: text => text.replaceAll('loose-secret', '[removed]') })
  t.teardown(() => app.close())
  app.health.register('careless', () => ({ state: 'ok', ready: true, details: { note: 'loose-secret' } }))
  const url = await app.listen({ port: 0 })
  t.match((await read(`${url}/_proxy/status`)).body, { parts: { careless: { details: { note: '[removed]' } } } })
})

t.test('says within a second that the event loop stood still for two', async t => {
  const app = await buildOpsApp()
  t.teardown(() => app.close())
  const url = await app.listen({ port: 0 })
  t.match(await read(`${url}/_proxy/readyz`), { body: { state: 'ok' } })
  const until = Date.now() + 2000
  while (Date.now() < until) { /* stands still */ }
  const asked = Date.now()
  const { body, status } = await read(`${url}/_proxy/readyz`)
  t.match({ body, status }, { status: 200, body: { ready: true, state: 'degraded', failing: { 'event-loop': { state: 'degraded' } } } })
  t.ok(Date.now() - asked < 1000)
  const { parts } = (await read(`${url}/_proxy/status`)).body as { parts: Record<string, { details: { longest_pause_ms: number } }> }
  t.ok((parts['event-loop']?.details.longest_pause_ms ?? 0) > 1700)
})

t.test('the second listener serves the probes and nothing else, and outlives the first one\'s drain', async t => {
  const app = await buildOpsApp({ environment: { PROXY_HEALTH_LISTEN: '127.0.0.1:0' } })
  t.teardown(() => app.close())
  await app.ready()
  const second = `http://127.0.0.1:${(app.healthListener?.server.address() as AddressInfo).port}`
  t.match(await read(`${second}/_proxy/readyz`), { status: 503 }, 'red before the main listener is open')
  await app.listen({ port: 0 })
  t.match(await read(`${second}/_proxy/readyz`), { status: 200 })
  t.match(await read(`${second}/_proxy/livez`), { status: 200 })
  for (const path of ['/', '/_proxy/status', '/v3/devices', '/_proxy/quit']) t.match(await read(second + path), { status: 404 }, path)
  app.health.beginDrain()
  t.match(await read(`${second}/_proxy/readyz`), { status: 503, body: { draining: true } })
  await app.close()
  await t.rejects(fetch(`${second}/_proxy/livez`))
})

t.test('the second listener can be a Unix socket', async t => {
  const socketPath = join(mkdtempSync(join(tmpdir(), 'ops-')), 'health.sock')
  const app = await buildOpsApp({ environment: { PROXY_HEALTH_LISTEN: `unix:${socketPath}` } })
  t.teardown(() => app.close())
  await app.ready()
  t.equal(app.healthListener?.server.address(), socketPath)
})

t.test('a second listener that cannot open fails the start and names the setting', async t => {
  const taken = await buildOpsApp()
  t.teardown(() => taken.close())
  await taken.listen({ port: 0, host: '127.0.0.1' })
  const { port } = taken.server.address() as AddressInfo
  const app = await buildOpsApp({ environment: { PROXY_HEALTH_LISTEN: `127.0.0.1:${port}` } })
  t.teardown(() => app.close())
  await t.rejects(async () => { await app.ready() }, { message: new RegExp(`PROXY_HEALTH_LISTEN=127.0.0.1:${port}: cannot listen \\(EADDRINUSE\\)`) })
})

t.test('quit is not there unless it is switched on', async t => {
  const app = await buildOpsApp()
  t.teardown(() => app.close())
  const url = await app.listen({ port: 0 })
  t.match(await read(`${url}/_proxy/quit`, { method: 'POST' }), { status: 404 })
})

t.test('quit answers first and then tells the process, by POST alone', async t => {
  const app = await buildOpsApp({ environment: { PROXY_QUIT_ENDPOINT: 'true' } })
  t.teardown(() => app.close())
  const told = new Promise<void>(resolve => { app.health.onQuit(resolve) })
  const url = await app.listen({ port: 0 })
  t.match(await read(`${url}/_proxy/quit`), { status: 404 })
  t.match(await read(`${url}/_proxy/quit`, { method: 'POST' }), { status: 202, body: { state: 'draining' } })
  await told
})
