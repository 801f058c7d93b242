import t, { test } from 'tap'
import { LimitsLoad, startLimits, tryAll as all, untilShared, type Attempt, type LimitsInstance } from '../support/limits-fleet.ts'
import { noRedis, startRedis, type RedisServer } from '../support/redis.ts'
import { startRelay } from '../support/relay.ts'
import { waitFor } from '../support/wait-for.ts'

t.jobs = 3
const servers = [await startRedis(), await startRedis(), await startRedis()]
t.teardown(async () => { for (const server of servers) await server?.remove() })
const skip = servers[0] === undefined && noRedis

test('while Redis is away each has its share, nobody waits for it, and there and back exceed the limit by one burst at most', { skip, buffered: true }, async t => {
  const own = servers[0] as RedisServer
  const rate = { perSecond: 30, burst: 30 }
  const instances = await startLimits(t, own.url, 3, { members: { alice: { rate } } })
  const load = new LimitsLoad(instances, 'alice', rate.perSecond)
  const together = await load.watch(1000)
  await own.stop()
  // Until the others would have noticed that one is cut off alone, none has more than its share of the burst.
  const begin = await load.watch(2200)
  t.ok(instances.every(({ limits }) => !limits.shared))
  const before = load.served
  const alone = await load.watch(1000)
  t.ok(load.served - before >= 15, `${load.served - before} in a second alone`)
  await own.start()
  await untilShared(instances)
  const again = await load.watch(1000)
  await load.stop()
  // One burst is the member's own, one more is what may go wrong, though nothing should: what Redis had left is taken along in shares.
  for (const most of [together, begin, alone, again]) t.ok(most <= 2 * rate.burst + 1, `${most.toFixed(1)} beyond the rate`)
  t.comment(`beyond the rate at most ${[together, begin, alone, again].map(most => most.toFixed(1)).join(', ')}; longest wait ${load.longestMs.toFixed(0)} ms`)
  t.ok(load.longestMs < 1500, `the longest wait was ${load.longestMs.toFixed(0)} ms`)
})

test('one that is cut off alone takes its share of the burst at most beyond the limit, owes it when it is back, and a new process begins with next to nothing', { skip, buffered: true }, async t => {
  const own = servers[2] as RedisServer
  const rate = { perSecond: 40, burst: 30 }
  const relays = await Promise.all([1, 2, 3].map(() => startRelay(own.port)))
  t.teardown(() => Promise.all(relays.map(relay => relay.close())))
  const options = { members: { alice: { rate } } }
  const instances = await startLimits(t, relays.map(({ port }) => `redis://127.0.0.1:${port}`), 3, options)
  const [a, , c] = instances as [LimitsInstance, LimitsInstance, LimitsInstance]
  const load = new LimitsLoad(instances, 'alice', rate.perSecond)
  let most = await load.watch(500)
  for (const relay of relays.slice(1)) {
    await relay.cut()
    most = Math.max(most, await load.watch(2500))
    t.ok(a.limits.shared)
    await relay.restore()
    await untilShared(instances)
  }
  const { session } = c.limits.state()
  await c.vanish()
  const [later] = await startLimits(t, 'redis://127.0.0.1:1', 1, { ...options, alone: true }) as [LimitsInstance]
  later.limits.restore({ day: '', members: {}, instances: 3, ...(session !== undefined && { session }) })
  instances[2] = later
  most = Math.max(most, await load.watch(1500))
  await load.stop()
  const allowed = rate.burst + rate.burst / 3 + 2
  t.ok(most <= allowed, `${most.toFixed(1)} beyond the rate, ${allowed} allowed`)
  t.comment(`beyond the rate at most ${most.toFixed(1)}`)
})

test('a Redis that hangs is left alone within half a second, and budgets outlive one that forgot everything', { skip, buffered: true }, async t => {
  const own = servers[1] as RedisServer
  const instances = await startLimits(t, own.url, 2, { members: { alice: { daily: 10 }, bob: { concurrency: 4 } } })
  const [a, b] = instances as [LimitsInstance, LimitsInstance]
  for (const one of await all([a, b], 6, 'alice')) (one.admitted ? [a, b] : []).find(({ limits }) => limits.usage('alice') === one.lease.usage)?.release(one)
  await waitFor('the count', () => [a, b].map(({ limits }) => limits.usage('alice').sentToday), counts => counts.every(count => count === 6))
  const held = await all([a], 3, 'bob')
  own.pause()
  const asked = performance.now()
  t.ok((await a.attempt('alice')).admitted, 'two of the four that are left are its share')
  t.ok(performance.now() - asked < 1000, `after ${(performance.now() - asked).toFixed(0)} ms`)
  t.ok((await a.attempt('alice')).admitted)
  t.match((await a.attempt('alice')).refusal, { type: 'budget_spent' })
  t.ok((await b.attempt('bob')).admitted)
  own.resume()
  await own.stop()
  await own.start()
  await untilShared(instances)
  await waitFor('the count', () => [a, b].map(({ limits }) => limits.usage('alice').sentToday), counts => counts.every(count => count === 8))
  t.equal((await all([a, b], 4, 'alice')).filter(({ admitted }) => admitted).length, 2)
  t.notOk((await b.attempt('bob')).admitted, 'what was held all the time is counted anew')
  a.release(held[0] as Attempt)
  await waitFor('the place', () => b.attempt('bob'), ({ admitted }) => admitted)
})

test('an instance that starts while Redis is away takes the share it had when it last ran', async t => {
  const [a] = await startLimits(t, 'redis://127.0.0.1:1', 1, { members: { alice: { concurrency: 9 } }, alone: true }) as [LimitsInstance]
  a.limits.restore({ day: new Date().toISOString().slice(0, 10), members: {}, instances: 3 })
  t.equal((await all([a], 9, 'alice')).filter(({ admitted }) => admitted).length, 3)
  t.match(a.limits.state(), { instances: 3 })
})
