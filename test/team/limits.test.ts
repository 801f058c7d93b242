import { test } from 'tap'
import { LocalLimits, noKeyLimits, noMemberLimits } from '../../src/team/limits-local.ts'
import type { KeyLimits, Kind, Lease, MemberLimits, Refusal } from '../../src/team/limits.ts'
import { fillBucket, takeToken } from '../../src/team/token-bucket.ts'
import { SimulatedClock } from '../support/simulated-clock.ts'

interface Try { lease: Lease, admitted: boolean, refusal: Refusal | undefined }

function makeLimits (members: Record<string, Partial<MemberLimits>>, key: Partial<KeyLimits> = {}, clock = new SimulatedClock()) {
  const limits = new LocalLimits(clock)
  limits.configure(new Map(Object.entries(members).map(([name, own]) => [name, { ...noMemberLimits, ...own }])), { ...noKeyLimits, maxWaitMs: 1000, maxWaiting: 100, ...key })
  function attempt (member: string, kind: Kind = 'request'): Try {
    const attempted: Try = { lease: limits.open(limits.usage(member), kind), admitted: false, refusal: undefined }
    limits.acquire(attempted.lease, refusal => {
      attempted.admitted = refusal === undefined
      attempted.refusal = refusal
    })
    return attempted
  }
  return { limits, clock, attempt, release: ({ lease }: Try, sent = true) => limits.release(lease, sent) }
}

test('a bucket gives its burst at once, then its rate, and says how long to wait', async t => {
  const rate = { perSecond: 10, burst: 3 }
  const bucket = fillBucket(rate, 0)
  t.same([1, 2, 3, 4].map(() => takeToken(bucket, rate, 0)), [0, 0, 0, 100])
  t.equal(takeToken(bucket, rate, 60), 40)
  t.equal(takeToken(bucket, rate, 100), 0)
  t.equal(takeToken(bucket, rate, 100), 100)
  t.same([1, 2, 3].map(() => takeToken(bucket, rate, 10_000)), [0, 0, 0], 'never more than the burst is saved up')
  t.ok(takeToken(bucket, rate, 10_000) > 0)
  t.ok(takeToken(bucket, rate, 9000) > 0, 'a clock that goes back gives nothing')
})

test('a member\'s rate is refused with the seconds to wait, and others are not touched', async t => {
  const { attempt, clock } = makeLimits({ alice: { rate: { perSecond: 0.5, burst: 2 } } })
  t.ok(attempt('alice').admitted)
  t.ok(attempt('alice').admitted)
  t.match(attempt('alice').refusal, { type: 'rate_limited', retryAfter: 2, message: 'This member may send 30 requests a minute, 2 at once after a pause.' })
  t.ok(attempt('bob').admitted)
  clock.advance(2000)
  t.ok(attempt('alice').admitted)
  t.notOk(attempt('alice').admitted)
})

test('each kind of request has its own places', async t => {
  const { attempt, release } = makeLimits({ alice: { concurrency: 1, longPolls: 1, webSockets: 1 } })
  const kinds: Kind[] = ['request', 'longPoll', 'webSocket', 'own']
  const held = kinds.map(kind => attempt('alice', kind))
  t.same(held.map(({ admitted }) => admitted), [true, true, true, true])
  for (const kind of kinds) t.match(attempt('alice', kind).refusal, { type: 'concurrency_limited', retryAfter: 1 }, kind)
  for (const one of held) release(one)
  for (const kind of kinds) t.ok(attempt('alice', kind).admitted, kind)
})

test('a lease is given back once, whatever is called', async t => {
  const { attempt, release, limits } = makeLimits({ alice: { concurrency: 2 } }, { concurrency: 8 })
  const one = attempt('alice')
  release(one)
  release(one)
  t.equal(limits.usage('alice').open.request, 0)
  const two = attempt('alice')
  t.equal(limits.usage('alice').open.request, 1)
  release(two)
  t.equal(limits.usage('alice').open.request, 0)
})

test('the day\'s budget is reserved before sending, given back for what was not sent, and ends with the UTC day', async t => {
  const { attempt, release, clock, limits } = makeLimits({ alice: { daily: 2 } }, {}, new SimulatedClock('2026-11-22T23:59:00Z'))
  const one = attempt('alice')
  const two = attempt('alice')
  t.ok(one.admitted && two.admitted)
  t.match(attempt('alice').refusal, { type: 'budget_spent', retryAfter: 60 }, 'both are only on their way, and count')
  release(one, false)
  const three = attempt('alice')
  t.ok(three.admitted, 'the first never reached the API')
  t.notOk(attempt('alice').admitted)
  t.equal(limits.usage('alice').sentToday, 2)
  clock.advance(60_000)
  t.ok(attempt('alice').admitted)
  t.equal(limits.usage('alice').sentToday, 1)
  release(three, false)
  t.equal(limits.usage('alice').sentToday, 1, 'yesterday\'s is not given back today')
})

test('requests to the proxy itself cost neither budget nor rate', async t => {
  const { attempt, limits } = makeLimits({ alice: { daily: 1, rate: { perSecond: 1, burst: 1 } } })
  for (let count = 0; count < 5; count++) t.ok(attempt('alice', 'own').admitted)
  t.equal(limits.usage('alice').sentToday, 0)
  t.ok(attempt('alice').admitted)
})

test('the day\'s counts survive a restart on the same day, not on the next', async t => {
  const before = makeLimits({ alice: { daily: 5 } })
  before.limits.usage('alice').lastSeenMs = 1234
  before.release(before.attempt('alice'))
  before.release(before.attempt('alice'))
  before.limits.countRefusal(before.limits.usage('alice'))
  const state = before.limits.state()
  t.same(state, { day: '2026-11-22', members: { alice: { sent: 2, refused: 1, lastSeenMs: 1234 } } })

  const same = makeLimits({ alice: { daily: 5 } }, {}, new SimulatedClock('2026-11-22T20:00:00Z'))
  same.limits.restore(state)
  t.match(same.limits.usage('alice'), { sentToday: 2, refusedToday: 1, lastSeenMs: 1234 })
  const next = makeLimits({ alice: { daily: 5 } }, {}, new SimulatedClock('2026-11-23T00:00:00Z'))
  next.limits.restore(state)
  t.match(next.limits.usage('alice'), { sentToday: 0, refusedToday: 0, lastSeenMs: 1234 })
})

test('new limits take effect on open accounts, and a touched file fills no bucket', async t => {
  const { attempt, limits } = makeLimits({ alice: { rate: { perSecond: 1, burst: 1 } } })
  t.ok(attempt('alice').admitted)
  limits.configure(new Map([['alice', { ...noMemberLimits, rate: { perSecond: 1, burst: 1 } }]]), noKeyLimits)
  t.notOk(attempt('alice').admitted)
  limits.configure(new Map([['alice', noMemberLimits]]), noKeyLimits)
  t.ok(attempt('alice').admitted)
  limits.configure(new Map([['alice', { ...noMemberLimits, daily: 1 }]]), noKeyLimits)
  t.match(attempt('alice').refusal, { type: 'budget_spent' })
})

test('at the key\'s shared limit requests wait their turn, and go on as places fall free', async t => {
  const { attempt, release, clock } = makeLimits({}, { concurrency: 4 })
  const held = ['a', 'a', 'b', 'b'].map(name => attempt(name))
  t.ok(held.every(({ admitted }) => admitted))
  const waiting = attempt('c')
  t.notOk(waiting.admitted)
  t.equal(waiting.refusal, undefined, 'neither let in nor refused yet')
  release(held[0] as Try)
  t.ok(waiting.admitted)
  const late = attempt('c')
  clock.advance(999)
  t.equal(late.refusal, undefined)
  clock.advance(1)
  t.match(late.refusal, { type: 'concurrency_limited', retryAfter: 1 }, 'nobody waits longer than maxWait')
})

test('a client that leaves while it waits gives up its turn, its budget and its timer', async t => {
  const { attempt, release, limits, clock } = makeLimits({}, { concurrency: 2 })
  const held = [attempt('a'), attempt('b')]
  const gone = attempt('c')
  const next = attempt('d')
  release(gone, false)
  release(held[0] as Try)
  t.notOk(gone.admitted)
  t.ok(next.admitted)
  t.equal(limits.usage('c').sentToday, 0)
  t.equal(clock.timers, 0)
})

test('one member takes three quarters of the places at most', async t => {
  const { attempt } = makeLimits({}, { concurrency: 8 })
  const greedy = Array.from({ length: 20 }, () => attempt('greedy'))
  t.equal(greedy.filter(({ admitted }) => admitted).length, 6)
  t.ok(attempt('newcomer').admitted, 'a newcomer finds room at once')
})

test('when too many wait, the newest of whoever has most waiting is refused, not the newcomer', async t => {
  const { attempt } = makeLimits({}, { concurrency: 1, maxWaiting: 10 })
  attempt('holder')
  const greedy = Array.from({ length: 10 }, () => attempt('greedy'))
  const modest = attempt('modest')
  t.equal(modest.refusal, undefined)
  t.match(greedy.at(-1)?.refusal, { type: 'concurrency_limited' })
  t.equal(greedy.filter(({ refusal }) => refusal !== undefined).length, 1)
})

test('long polls and WebSockets have a shared cap of their own', async t => {
  const { attempt } = makeLimits({}, { longPolls: 2, webSockets: 1, concurrency: 1 })
  t.ok(attempt('a', 'longPoll').admitted)
  t.ok(attempt('b', 'longPoll').admitted)
  t.match(attempt('c', 'longPoll').refusal, { type: 'concurrency_limited', message: 'All members together may have 2 long polls open at the same time.' })
  t.ok(attempt('a', 'webSocket').admitted)
  t.match(attempt('b', 'webSocket').refusal, { type: 'concurrency_limited' })
  t.ok(attempt('b').admitted, 'and leave the places of ordinary requests alone')
})

/** Ten members; one offers a hundred times its share, the others exactly theirs. Gives each member's served requests a second. */
function simulate (key: Partial<KeyLimits>, perSecondEach: number, serviceMs: (name: string) => number): Record<string, number> {
  const { limits, clock } = makeLimits({}, { maxWaitMs: 2000, maxWaiting: 1000, ...key })
  const served: Record<string, number> = {}
  const names = ['greedy', ...Array.from({ length: 9 }, (_, index) => `modest-${index}`)]
  function send (name: string): void {
    const lease = limits.open(limits.usage(name), 'request')
    limits.acquire(lease, refusal => {
      if (refusal !== undefined) return
      served[name] = (served[name] ?? 0) + 1
      clock.delay(serviceMs(name), () => limits.release(lease, true))
    })
  }
  for (const [index, name] of names.entries()) {
    const everyMs = 1000 / (perSecondEach * (name === 'greedy' ? 100 : 1))
    const again = (): void => {
      if (clock.nowMs() >= 30_000) return
      send(name)
      clock.delay(everyMs, again)
    }
    clock.delay(index * 0.37, again)
  }
  clock.advance(30_000)
  return Object.fromEntries(names.map(name => [name, (served[name] ?? 0) / 30]))
}

test('a member who offers a hundred times the load leaves the others at least 95 % of their share', async t => {
  const byRate = simulate({ rate: { perSecond: 20, burst: 20 } }, 2, () => 10)
  const byPlaces = simulate({ concurrency: 10 }, 2, () => 500)
  const slowGreed = simulate({ concurrency: 10 }, 2, name => name === 'greedy' ? 1500 : 400)
  for (const [what, served] of Object.entries({ byRate, byPlaces, slowGreed })) {
    const others = Object.entries(served).filter(([name]) => name !== 'greedy').map(([, rate]) => rate)
    t.ok(Math.min(...others) >= 0.95 * 2, `${what}: the others get ${Math.min(...others).toFixed(2)} to ${Math.max(...others).toFixed(2)} of 2 a second, the greedy one ${served['greedy']?.toFixed(2)}`)
    t.ok((served['greedy'] ?? 0) > 0.5, 'and the greedy one is not starved either')
  }
  t.ok(Math.abs(Object.values(byRate).reduce((sum, rate) => sum + rate) - 20) < 1.5, 'the limit is used up, not undercut')
})
