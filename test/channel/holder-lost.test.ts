import t, { type Test } from 'tap'
import { notify, payloads, type ChannelProxy } from '../support/channel-proxy.ts'
import { EventSource } from '../support/event-source.ts'
import { holds, Returning, startFleet, type Fleet, type FleetOptions } from '../support/fleet.ts'
import { noRedis, startRedis, type RedisServer } from '../support/redis.ts'
import { startRelay, type Relay } from '../support/relay.ts'
import { waitFor } from '../support/wait-for.ts'

// Instances that are taken for dead: cut off from Redis. Killed and paused ones: fleet-processes.test.ts.

const redis = await startRedis()
t.teardown(() => redis?.remove())
const skip = redis === undefined && noRedis
// A holder is missed after six seconds.
t.setTimeout(120_000)

const gap = '{"reason":"holder_lost"}'

interface CutFleet extends Fleet { relays: Relay[] }

/** Each instance has a way of its own to Redis. Here the first is the one that holds the channel. */
async function startCutFleet (t: Test, count: number, options: Partial<FleetOptions> = {}): Promise<CutFleet> {
  const { port } = redis as RedisServer
  const relays = await Promise.all(Array.from({ length: count }, () => startRelay(port)))
  t.teardown(() => Promise.all(relays.map(relay => relay.close())))
  const fleet = await startFleet(t, count, { urls: relays.map(relay => `redis://127.0.0.1:${relay.port}`), ...options })
  const first = fleet.instances.findIndex(holds)
  for (const list of [fleet.instances, relays]) list.unshift(...list.splice(first, 1) as never[])
  return { ...fleet, relays }
}

const relief = (others: ChannelProxy[]) => waitFor('the relief', () => others.filter(holds).length, count => count === 1, 20_000)
const poll = (instance: ChannelProxy, member: string) => instance.ask(member, 'GET', '/v2/notification/pull')

t.test('who takes the channel over from a holder that is taken for dead says so once, to each kind of listener, before what it brings', { skip }, async t => {
  const { api, relays: [relay], instances: [cut, one, two] } = await startCutFleet(t, 3) as CutFleet & { relays: [Relay], instances: [ChannelProxy, ChannelProxy, ChannelProxy] }
  const streams = [await EventSource.open(one, 'ada'), await EventSource.open(cut, 'bob')] as const
  const [webSocket, moving] = [new Returning(one, 'cid'), new Returning(two, 'dan', one)]
  await Promise.all([webSocket.opened, moving.opened, poll(two, 'eve')])
  await cut.ready()
  notify(api, '1')
  await Promise.all([streams[0].until(1), streams[1].until(1), webSocket.until(1), moving.until(1)])
  t.match(await poll(two, 'eve'), { status: 200, headers: { 'x-proxy-gap': undefined } })

  await relay.cut()
  await relief([one, two])
  const told = await waitFor('the word', () => poll(one, 'eve'), ({ headers }) => headers['x-proxy-gap'] !== undefined)
  t.equal(told.headers['x-proxy-gap'], 'holder_lost')
  await waitFor('one socket', () => [one, two].filter(instance => instance.status().connects === 1).length, count => count === 1)
  notify(api, '2')
  await streams[0].until(2)
  t.same(streams[0].gaps, [gap])
  t.same(await webSocket.until(2), ['1', '2'], 'goes on behind the gap where it was')
  t.same(await moving.until(2), ['1', '2'], 'and elsewhere')

  await relay.restore()
  t.same(payloads(await streams[1].until(2)), ['1', '2'], 'at the one that was cut off')
  notify(api, '3')
  for (const stream of streams) {
    t.same(payloads(await stream.until(3)), ['1', '2', '3'])
    t.same(stream.gaps, [gap], 'not again when it comes back')
  }
  for (const returning of [webSocket, moving]) {
    t.same(await returning.until(3), ['1', '2', '3'])
    t.same(returning.codes, [1012])
  }
  const late = await EventSource.open(two, 'fay', streams[0].firstId)
  await late.until(2)
  t.same(late.gaps, [gap], 'it stands in the log behind what was brought before')
  t.same([cut, one, two].map(instance => instance.status()['gaps']).sort(), [0, 0, 1], 'counted by who said it')
  t.match([one, two].map(instance => instance.log()).join(''), 'ended without letting go')
})

t.test('a holder whose socket is closed, because nobody listens, takes nothing with it', { skip }, async t => {
  const { relays: [relay], instances: [cut, one] } = await startCutFleet(t, 2, { limits: { lingerMs: 200 } }) as CutFleet & { relays: [Relay], instances: [ChannelProxy, ChannelProxy] }
  const stream = await EventSource.open(cut, 'ada')
  await cut.ready()
  stream.close()
  await waitFor('that the other knows', () => one.status().state, state => state === 'idle', 15_000)
  await relay.cut()
  await relief([one])
  const next = await EventSource.open(one, 'ada', stream.lastId)
  await one.ready()
  t.same(next.gaps, [])
  t.equal(one.status()['gaps'], 0)
  const before = performance.now()
  await cut.close()
  t.ok(performance.now() - before < 10_000, 'the one that is cut off stops without waiting for Redis')
})

t.test('each holder that is taken for dead is told of; one that gets its own lease back is not', { skip }, async t => {
  const { api, relays: [first, second], instances: [one, two] } = await startCutFleet(t, 2) as CutFleet & { relays: [Relay, Relay], instances: [ChannelProxy, ChannelProxy] }
  const stream = await EventSource.open(one, 'ada')
  await one.ready()
  await first.cut()
  await relief([two])
  await waitFor('the socket', () => two.status().connects, connects => connects === 1)
  await first.restore()
  await waitFor('the return', () => one.app.fleet?.up, up => up === true)
  await waitFor('the word', () => stream.gaps.length, count => count === 1)

  await second.cut()
  await relief([one])
  await waitFor('the second word', () => stream.gaps.length, count => count === 2)
  await two.close()
  await waitFor('the socket', () => one.status().connects, connects => connects === 2)
  // Nobody else is there: the lease runs out, and is its own again.
  await first.cut()
  await waitFor('the loss', () => holds(one), held => !held, 15_000)
  await first.restore()
  await waitFor('the lease', () => holds(one), held => held, 15_000)
  notify(api, 'after')
  await stream.until(1)
  t.same(stream.gaps, [gap, gap])
})
