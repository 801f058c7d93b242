import t, { test } from 'tap'
import { startLimits, tryAll as all, untilShared, type Attempt, type LimitsInstance } from '../support/limits-fleet.ts'
import { noRedis, startRedis, type RedisServer } from '../support/redis.ts'
import { waitFor } from '../support/wait-for.ts'

t.jobs = 2
const servers = [await startRedis(), await startRedis()]
t.teardown(async () => { for (const server of servers) await server?.remove() })
const skip = servers[0] === undefined && noRedis

test('while Redis is away each has its share, nobody waits for it, and there and back exceed the limit by one burst at most', { skip, buffered: true }, async t => {
  const own = servers[0] as RedisServer
  const rate = { perSecond: 30, burst: 30 }
  const instances = await startLimits(t, own.url, 3, { members: { alice: { rate } } })
  let served = 0
  let longestMs = 0
  const over = new AbortController()
  const started = performance.now()
  const work = async (instance: LimitsInstance) => {
    while (!over.signal.aborted) {
      const asked = performance.now()
      const attempt = await instance.attempt('alice')
      longestMs = Math.max(longestMs, performance.now() - asked)
      if (attempt.admitted) served++
      instance.release(attempt)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }
  const workers = instances.map(work)
  const excess = () => served - (performance.now() - started) / 1000 * rate.perSecond
  const worst: Record<string, number> = {}
  const watch = async (phase: string, ms: number) => {
    const untilMs = performance.now() + ms
    while (performance.now() < untilMs) {
      worst[phase] = Math.max(worst[phase] ?? -Infinity, excess())
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
  await watch('together', 1000)
  await own.stop()
  await watch('alone', 1500)
  t.ok(instances.every(({ limits }) => !limits.shared))
  const before = served
  await watch('alone', 1000)
  t.ok(served - before >= 15, `${served - before} in a second alone`)
  await own.start()
  await untilShared(instances)
  await watch('together again', 1000)
  over.abort()
  await Promise.all(workers)
  // One burst is the member's own, one more is what may go wrong.
  for (const [phase, most] of Object.entries(worst)) t.ok(most <= 2 * rate.burst + 1, `${phase}: ${most.toFixed(1)} beyond the rate`)
  t.comment(`beyond the rate at most: ${JSON.stringify(worst)}; longest wait ${longestMs.toFixed(0)} ms`)
  t.ok(longestMs < 1500, `the longest wait was ${longestMs.toFixed(0)} ms`)
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
