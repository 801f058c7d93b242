import t, { test } from 'tap'
import { startLimits, tryAll as all, type Attempt, type LimitsInstance } from '../support/limits-fleet.ts'
import { noRedis, startRedis, type RedisServer } from '../support/redis.ts'
import { waitFor } from '../support/wait-for.ts'

const server = await startRedis()
t.teardown(() => server?.remove())
t.jobs = 4
const skip = server === undefined && noRedis
const redis = server as RedisServer
let databases = 0
/** An empty database for each test. */
const database = () => `${redis.url}/${++databases}`

test('a member\'s burst and rate are the same for three instances as for one', { skip, buffered: true }, async t => {
  const instances = await startLimits(t, database(), 3, { members: { alice: { rate: { perSecond: 2, burst: 20 } } } })
  const tries = await all(instances, 60, 'alice')
  const admitted = tries.filter(({ admitted }) => admitted).length
  t.ok(admitted >= 20 && admitted <= 22, `${admitted} of 60 were let in at once`)
  t.match(tries.find(({ admitted }) => !admitted)?.refusal, { type: 'rate_limited', message: 'This member may send 2 requests a second, 20 at once after a pause.', retryAfter: 1 })
  await waitFor('a token', () => all(instances, 3, 'alice'), tries => tries.filter(({ admitted }) => admitted).length === 1)
})

test('places are counted over all instances, each kind by itself, and fall free on all', { skip, buffered: true }, async t => {
  const [a, b] = await startLimits(t, database(), 2, { members: { alice: { concurrency: 3, longPolls: 1, webSockets: 1 } } }) as [LimitsInstance, LimitsInstance]
  for (const [kind, most] of [['request', 3], ['longPoll', 1], ['webSocket', 1]] as const) {
    const tries = await all([a, b], 6, 'alice', kind)
    t.equal(tries.filter(({ admitted }) => admitted).length, most, kind)
    t.match(tries.find(({ admitted }) => !admitted)?.refusal, { type: 'concurrency_limited' }, kind)
    for (const one of tries) (tries.indexOf(one) % 2 === 0 ? a : b).release(one)
    await waitFor('a place', () => b.attempt('alice', kind), ({ admitted }) => admitted)
  }
})

test('whoever has no limits, and whoever asks for the proxy\'s own pages, doesn\'t wait for Redis', { skip, buffered: true }, async t => {
  const [a] = await startLimits(t, database(), 1, { members: { alice: { rate: { perSecond: 1, burst: 1 } }, bob: {} } }) as [LimitsInstance]
  let answered = false
  const lease = a.limits.open(a.limits.usage('bob'), 'request')
  a.limits.acquire(lease, () => { answered = true })
  t.ok(answered, 'at once, in the same turn')
  a.limits.release(lease, true)
  answered = false
  a.limits.acquire(a.limits.open(a.limits.usage('alice'), 'own'), () => { answered = true })
  t.ok(answered)
})

test('the day\'s budget is one for all, by Redis\'s clock, and survives every instance', { skip, buffered: true }, async t => {
  const url = database()
  const members = { alice: { daily: 10 } }
  const day = 86_400_000
  const [a, b, c] = await startLimits(t, url, 3, { members, skewsMs: [0, day, -day] }) as [LimitsInstance, LimitsInstance, LimitsInstance]
  const first = await all([a, b, c], 9, 'alice')
  t.equal(first.filter(({ admitted }) => admitted).length, 9)
  for (const [index, one] of first.entries()) ([a, b, c][index % 3] as LimitsInstance).release(one, index > 0)
  await waitFor('the count', () => [a, b, c].map(({ limits }) => limits.usage('alice').sentToday), counts => counts.every(count => count === 8))
  t.equal((await all([b, c], 5, 'alice')).filter(({ admitted }) => admitted).length, 2, 'the one that never reached the API was given back')
  t.match((await c.attempt('alice')).refusal, { type: 'budget_spent' })
  await Promise.all([a, b, c].map(({ app }) => app.close()))
  const [later] = await startLimits(t, url, 1, { members }) as [LimitsInstance]
  t.equal(later.limits.usage('alice').sentToday, 10)
  t.match((await later.attempt('alice')).refusal, { type: 'budget_spent' })
})

test('what an instance held is free again when it was killed', { skip, buffered: true }, async t => {
  const [a, b] = await startLimits(t, database(), 2, { members: { alice: { concurrency: 2, longPolls: 1 } }, key: { concurrency: 4 } }) as [LimitsInstance, LimitsInstance]
  t.equal((await all([a], 2, 'alice')).filter(({ admitted }) => admitted).length, 2)
  t.notOk((await b.attempt('alice')).admitted)
  // A count of nothing has to be taken back too.
  a.release(await a.attempt('alice', 'longPoll'))
  await waitFor('the long poll', () => b.attempt('alice', 'longPoll'), ({ admitted }) => admitted)
  await a.vanish()
  await waitFor('the place', () => b.attempt('alice'), ({ admitted }) => admitted, 10_000)
})

test('the key\'s places go round the members of all instances; who leaves, or waits too long, gives up its turn', { skip, buffered: true }, async t => {
  const [a, b] = await startLimits(t, database(), 2, { members: { greedy: {}, alice: {} }, key: { concurrency: 4, maxWaitMs: 3000 } }) as [LimitsInstance, LimitsInstance]
  const held = await all([a], 3, 'greedy')
  const order: string[] = []
  const queued = Array.from({ length: 10 }, (_, index) => a.attempt('greedy').then(attempt => { order.push(`greedy ${index}`); return attempt }))
  await waitFor('the queue', () => a.limits.pressure().waiting, waiting => waiting === 10)
  const alice = b.attempt('alice').then(attempt => { order.push('alice'); return attempt })
  t.ok((await alice).admitted, 'the last quarter is not greedy\'s')
  const second = b.attempt('alice').then(attempt => { order.push('alice'); return attempt })
  await waitFor('the queue', () => b.limits.pressure().waiting, waiting => waiting >= 1)
  const left = b.limits.open(b.limits.usage('alice'), 'request')
  b.limits.acquire(left, () => t.fail('it left'))
  await waitFor('both wait', () => b.limits.ownPressure().waiting, waiting => waiting === 2)
  b.limits.release(left, false)
  a.release(held[0] as Attempt)
  t.ok((await second).admitted)
  t.same(order, ['alice', 'alice'], 'the place freed on the one instance went to the other')
  b.release(await second)
  b.release(await alice)
  const rest = await Promise.all(queued)
  t.ok(rest.some(({ admitted }) => admitted))
  t.match(rest.find(({ admitted }) => !admitted)?.refusal, { type: 'concurrency_limited', message: 'All 4 places that the members of this proxy share are taken.' })
})

test('the key\'s rate is shared in turn: a greedy member on two instances leaves a modest one on the third its share', { skip, buffered: true }, async t => {
  const instances = await startLimits(t, database(), 3, { members: { greedy: {}, modest: {} }, key: { rate: { perSecond: 50, burst: 5 }, maxWaitMs: 30_000 } })
  const [a, b, c] = instances as [LimitsInstance, LimitsInstance, LimitsInstance]
  const served = { greedy: 0, modest: 0 }
  const started = performance.now()
  const untilMs = started + 2000
  const work = async (instance: LimitsInstance, member: 'greedy' | 'modest') => {
    while (performance.now() < untilMs) {
      const attempt = await instance.attempt(member)
      if (performance.now() < untilMs) served[member]++
      instance.release(attempt)
    }
  }
  await Promise.all([...Array.from({ length: 40 }, (_, index) => work(index % 2 === 0 ? a : b, 'greedy')), ...Array.from({ length: 4 }, () => work(c, 'modest'))])
  const total = served.greedy + served.modest
  const allowed = 5 + 50 * 2
  t.ok(total <= allowed + 1, `${total} of ${allowed} were served`)
  t.ok(total >= allowed * 0.85, `${total} of ${allowed} were served`)
  t.ok(served.modest >= 0.8 * total / 2, `modest got ${served.modest}, greedy ${served.greedy}`)
  t.comment(`served: greedy ${served.greedy}, modest ${served.modest}, allowed ${allowed}`)
})

test('everybody sees what a member has open and has sent anywhere', { skip, buffered: true }, async t => {
  const [a, b] = await startLimits(t, database(), 2, { members: { alice: {} } }) as [LimitsInstance, LimitsInstance]
  const [first] = await all([a], 1, 'alice') as [Attempt]
  a.limits.countRefusal(a.limits.usage('alice'))
  await waitFor('what b sees', () => [b.limits.openOf(b.limits.usage('alice')), b.limits.usage('alice').sentToday, b.limits.usage('alice').refusedToday], seen => seen.join() === '1,1,1')
  t.ok(Math.abs(b.limits.usage('alice').lastSeenMs - Date.now()) < 5000)
  t.match(b.limits.pressure(), { open: 1, waiting: 0 })
  a.release(first)
  await waitFor('what b sees', () => b.limits.openOf(b.limits.usage('alice')), open => open === 0)
})
