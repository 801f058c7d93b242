import t, { test, type Test } from 'tap'
import { Redis } from 'ioredis'
import { RedisLease } from '../../src/channel/shared/redis-lease.ts'
import type { FleetService } from '../../src/decorations.ts'
import { noRedis, startRedis } from '../support/redis.ts'
import { waitFor } from '../support/wait-for.ts'

const server = await startRedis()
t.teardown(() => server?.remove())

type Answer = [mine: number, token: string]

/** A lease whose questions to Redis are answered by the test. */
async function startLease (t: Test, uptimeSeconds: number) {
  const asked: Array<{ mayClaim: boolean, answer: (answer: Answer) => void }> = []
  const redis = {
    info: async () => `uptime_in_seconds:${uptimeSeconds}`,
    eval: async (...words: unknown[]) => words[1] === 2 && words.length === 7 ? await new Promise(resolve => asked.push({ mayClaim: words[6] === 1, answer: resolve })) : 1
  }
  const lease = new RedisLease({ redis, key: (name: string) => name, instance: 'b', up: true, onChange: () => () => {} } as unknown as FleetService)
  const gained: number[] = []
  lease.hold({ gained: token => gained.push(token), lost: () => {} })
  t.teardown(() => lease.release())
  await waitFor('the first question', () => asked.length, count => count === 1)
  return { lease, asked, gained }
}

test('a lease that is let go while a question is under way is asked for again at once: that answer may be older', async t => {
  const { lease, asked, gained } = await startLease(t, 3600)
  const took = lease.takeOver()
  await new Promise(resolve => setImmediate(resolve))
  t.equal(asked.length, 1)
  asked[0]?.answer([0, '1'])
  await waitFor('the second question', () => asked.length, count => count === 2, 500)
  asked[1]?.answer([1, '2'])
  await took
  await waitFor('the lease', () => gained, tokens => tokens.join() === '2', 500)
  t.ok(lease.confirmed)
})

test('a new Redis may have lost whose the lease was: nobody claims it for a while, unless it was let go', async t => {
  const { lease, asked, gained } = await startLease(t, 0)
  t.equal(asked[0]?.mayClaim, false)
  asked[0]?.answer([0, '0'])
  await new Promise(resolve => setImmediate(resolve))
  const took = lease.takeOver()
  await waitFor('the question', () => asked.at(-1)?.mayClaim, mayClaim => mayClaim === true, 500)
  for (const { answer } of asked) answer([1, '7'])
  await took
  t.same(gained, [7])
})

test('a lease that was released is there for the next at once, whatever else is not known; one that is gone is not', { skip: server === undefined && noRedis }, async t => {
  const redis = new Redis(server?.url as string)
  t.teardown(() => redis.disconnect())
  const gained: string[] = []
  const hold = (instance: string) => {
    const lease = new RedisLease({ redis, key: (name: string) => name, instance, up: true, onChange: () => () => {} } as unknown as FleetService)
    lease.hold({ gained: () => gained.push(instance), lost: () => {} })
    t.teardown(() => lease.release())
    return lease
  }
  // Redis is a moment old: it may have lost whose the lease was.
  const one = hold('one')
  await one.renew()
  t.same(gained, [])
  await redis.set('channel:lease', 'released')
  await one.renew()
  t.same(gained, ['one'])
  const two = hold('two')
  await two.renew()
  t.same(gained, ['one'])
  await one.release()
  await two.renew()
  t.same(gained, ['one', 'two'])
})
