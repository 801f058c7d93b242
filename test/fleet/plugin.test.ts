import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { loadSettings } from '../../src/config/load.ts'
import type { FleetService } from '../../src/decorations.ts'
import fleet from '../../src/fleet/plugin.ts'
import health from '../../src/ops/health-plugin.ts'
import type { Health } from '../../src/ops/health.ts'
import { runCommand } from '../support/process.ts'
import { noRedis, startRedis, type RedisServer } from '../support/redis.ts'
import { startRelay } from '../support/relay.ts'
import { waitFor } from '../support/wait-for.ts'

const password = 'open:sesame@/?#'
const redis = await startRedis({ password })
t.teardown(() => redis?.remove())
const skip = redis === undefined && noRedis
const server = redis as RedisServer

interface Instance { app: FastifyInstance, fleet: FleetService, report: () => Record<string, unknown>, log: () => string }

async function start (t: Test, environment: Record<string, string>, keyFingerprint?: () => string): Promise<Instance> {
  const settings = loadSettings({ flags: {}, dotenv: {}, environment: { IZUMA_ACCESS_KEY: 'unused', ...environment } })
  let log = ''
  const stream = new PassThrough().on('data', chunk => { log += String(chunk) })
  const app = Fastify({ logger: { stream } }) as unknown as FastifyInstance
  await app.register(health, { settings, program: { version: 'test', node: '' }, redact: text => text })
  await app.register(fleet, { settings, ...(keyFingerprint && { keyFingerprint }) })
  t.teardown(() => app.close())
  return { app, fleet: app.fleet as FleetService, report: () => (app.health as Health).overview().parts['fleet'] as never, log: () => log }
}

t.test('without PROXY_REDIS_URL there is no fleet, and nothing is said of one', async t => {
  const { app, fleet, report } = await start(t, {})
  t.equal(app.hasDecorator('fleet'), true)
  t.equal(fleet, undefined)
  t.equal(report(), undefined)
})

t.test('instances count each other; one that leaves is missed at once', { skip }, async t => {
  const environment = { PROXY_REDIS_URL: server.url, PROXY_REDIS_PREFIX: 'counting:' }
  const first = await start(t, environment)
  t.equal(first.fleet.up, true)
  const second = await start(t, environment)
  const other = await start(t, { ...environment, PROXY_REDIS_PREFIX: 'others:' })
  t.equal(second.fleet.size, 2, 'the newest knows already')
  t.equal(other.fleet.size, 1, 'another prefix is another fleet')
  await waitFor('the first', () => first.fleet.size, size => size === 2)
  t.not(first.fleet.instance, second.fleet.instance)
  t.match(first.report(), { state: 'ok', ready: true, details: { up: 1, instances: 2, failure: null } })
  await second.app.close()
  await waitFor('the first', () => first.fleet.size, size => size === 1)
  t.match(first.log(), /each instance has a trail of its own/, 'SQLite is allowed, and said')
})

t.test('instances with different access keys are told so at once; after a rotation it is over', { skip }, async t => {
  const environment = { PROXY_REDIS_URL: server.url, PROXY_REDIS_PREFIX: 'keys:' }
  let key = 'sha256:00000001'
  const first = await start(t, environment, () => key)
  const second = await start(t, environment, () => 'sha256:00000002')
  await waitFor('the warning', () => [first, second].map(({ log }) => log()), logs => logs.every(log => log.includes('"access_keys":"1 with sha256:00000001, 1 with sha256:00000002"') && log.includes('use different access keys')))
  t.match(first.report(), { state: 'ok', details: { access_keys: 2 } }, 'it may be a rotation')
  key = 'sha256:00000002'
  await waitFor('the end', () => first.log(), log => log.includes('all instances use the same access key again'))
  t.match(first.report(), { state: 'ok', details: { access_keys: 1 } })
  await second.app.close()
  key = 'sha256:00000003'
  await waitFor('the new key', () => first.fleet.redis.hvals('keys:instances:keys'), used => used.join() === key)
  t.equal(first.log().match(/different access keys/g)?.length, 1, 'whoever has left counts no more')
})

t.test('the password is nowhere in log and report, right or wrong', { skip }, async t => {
  for (const url of [server.url, `redis://someone:${encodeURIComponent(`wrong${password}`)}@127.0.0.1:${server.port}/3`]) {
    const { report, log, app } = await start(t, { PROXY_REDIS_URL: url })
    await app.close()
    for (const secret of [password, encodeURIComponent(password), 'someone']) t.notMatch(log() + JSON.stringify(report()), secret)
  }
  const { report } = await start(t, { PROXY_REDIS_URL: `redis://:wrong@127.0.0.1:${server.port}` })
  t.match(report(), { state: 'degraded', ready: true, details: { up: 0, failure: /WRONGPASS|NOAUTH/, redis: `127.0.0.1:${server.port}` } })
})

t.test('a setting that is wrong is named without its value', async t => {
  for (const url of ['http://:sesame@host', 'redis://:sesame@host/?tls=no', 'redis://:sesame@', 'unix:sesame', 'redis://:sesame%@host']) {
    t.throws(() => loadSettings({ flags: {}, dotenv: {}, environment: { PROXY_REDIS_URL: url } }), { message: /PROXY_REDIS_URL = \(value not shown\): expected redis:/ }, url)
    t.doesNotThrow(() => { try { loadSettings({ flags: {}, dotenv: {}, environment: { PROXY_REDIS_URL: url } }) } catch (error) { if (String(error).includes('sesame')) throw error } })
  }
  t.throws(() => loadSettings({ flags: { '--redis-url': 'redis://:sesame@host' }, dotenv: {}, environment: {} }), { message: /--redis-url: no such setting/ }, 'command lines are public')
})

t.test('a Unix socket is as good as a port', { skip }, async t => {
  const plain = await startRedis()
  t.teardown(() => plain?.remove())
  const { fleet, report } = await start(t, { PROXY_REDIS_URL: `unix:${plain?.socketPath}?db=2` })
  t.equal(fleet.up, true)
  t.match(report(), { details: { redis: `unix:${plain?.socketPath}/2` } })
})

t.test('an instance that starts without Redis says so, serves, and joins when it is there', { skip }, async t => {
  const own = await startRedis() as RedisServer
  t.teardown(() => own.remove())
  await own.stop()
  const { fleet, log, report } = await start(t, { PROXY_REDIS_URL: own.url })
  t.equal(fleet.up, false)
  t.equal(fleet.size, 1)
  t.match(log(), /Redis does not answer; this instance begins alone/)
  t.match(report(), { state: 'degraded', ready: true, details: { failure: 'ECONNREFUSED' } })
  const reading = fleet.connect().xread('BLOCK', 1000, 'STREAMS', 'early', '0')
  await own.start()
  await waitFor('Redis', () => fleet.up, up => up)
  await fleet.redis.xadd('early', '1-0', 'a', 'b')
  t.match(await reading, [['early', [['1-0', ['a', 'b']]]]], 'a read that began before goes on')
})

t.test('while Redis is away commands fail at once, and nothing is sent later', { skip }, async t => {
  const own = await startRedis({ keep: true }) as RedisServer
  t.teardown(() => own.remove())
  const { fleet, log } = await start(t, { PROXY_REDIS_URL: own.url })
  const changes: boolean[] = []
  const forget = fleet.onChange(up => changes.push(up))
  const reader = fleet.connect()
  await reader.subscribe('news')
  const heard = new Promise(resolve => { reader.on('message', (_channel, text) => resolve(text)) })
  await own.stop()
  await waitFor('the loss', () => fleet.up, up => !up)
  const before = performance.now()
  await t.rejects(fleet.redis.set('late', '1'))
  t.ok(performance.now() - before < 200)
  t.equal(fleet.size, 1)
  await own.start()
  await waitFor('the return', () => fleet.up, up => up)
  t.equal(await fleet.redis.get('late'), null)
  t.same(changes, [false, true])
  forget()
  await waitFor('the subscription', async () => await fleet.redis.publish('news', 'good'), listeners => listeners === 1)
  t.equal(await heard, 'good', 'a subscription comes back by itself')
  t.match(log(), /Redis is away/)
  t.match(log(), /the instances act as one/)
})

t.test('a Redis that hangs is given up after a second, and found again when it goes on', { skip }, async t => {
  const own = await startRedis() as RedisServer
  t.teardown(() => own.remove())
  const { fleet } = await start(t, { PROXY_REDIS_URL: own.url })
  own.pause()
  const before = performance.now()
  await t.rejects(fleet.redis.get('anything'))
  t.ok(performance.now() - before < 2_500, 'the one that finds out waits a second')
  await waitFor('the loss', () => fleet.up, up => !up)
  const then = performance.now()
  await t.rejects(fleet.redis.get('anything'))
  t.ok(performance.now() - then < 1_500)
  own.resume()
  await waitFor('the return', () => fleet.up, up => up)
})

t.test('a cut network is no loss of reads: they go on behind what they had', { skip }, async t => {
  const own = await startRedis() as RedisServer
  t.teardown(() => own.remove())
  const relay = await startRelay(own.port)
  t.teardown(() => relay.close())
  const near = await start(t, { PROXY_REDIS_URL: own.url })
  const far = await start(t, { PROXY_REDIS_URL: own.url.replace(String(own.port), String(relay.port)) })
  const reading = far.fleet.connect().xread('BLOCK', 2000, 'STREAMS', 'events', '0')
  await relay.cut()
  await waitFor('the loss', () => far.fleet.up, up => !up)
  t.equal(far.fleet.size, 2, 'the last known size')
  await waitFor('the other', () => near.fleet.size, size => size === 1, 8_000)
  await near.fleet.redis.xadd('events', '1-0', 'a', 'b')
  await relay.restore()
  t.match(await reading, [['events', [['1-0', ['a', 'b']]]]])
  await waitFor('both', () => near.fleet.size, size => size === 2)
})

t.test('`check` says whether Redis answers, and what to do', { skip }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-fleet-check-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'access-key'), 'unused', { mode: 0o600 })
  const check = async (url: string) => {
    const environment = { PROXY_REDIS_URL: url, IZUMA_ACCESS_KEY_FILE: join(folder, 'access-key'), IZUMA_API_HOST: 'https://127.0.0.1:1' }
    const { stdout } = await runCommand(['check', '--json'], { cwd: folder, environment })
    t.notMatch(stdout, password)
    return (JSON.parse(stdout) as { checks: Array<{ name: string }> }).checks.find(({ name }) => name === 'fleet')
  }
  t.match(await check(server.url), { state: 'warning', found: /answers, but the trail is a SQLite file/, fix: /PROXY_TRAIL/ })
  t.match(await check(`redis://:wrong@127.0.0.1:${server.port}`), { state: 'failed', found: /WRONGPASS|NOAUTH/, fix: /serves alone/ })
  t.match(await check('redis://127.0.0.1:1'), { state: 'failed', found: '127.0.0.1:1: ECONNREFUSED' })
})
