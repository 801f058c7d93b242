import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'tap'
import type { Dispatcher } from 'undici'
import type { ProxyError } from '../../src/errors.ts'
import { ConnectionQueue, type QueueLimits, type Sender } from '../../src/upstream/connection-queue.ts'

const options = {} as Dispatcher.DispatchOptions

class Caller implements Sender {
  error: ProxyError | undefined
  readonly name: string
  constructor (name: string) { this.name = name }
  onRefused (error: ProxyError): void { this.error = error }
}

/** A pool of so many connections, none of which ends what it was given by itself. */
function makeQueue (t: { teardown (end: () => void): void }, connections: number, limits: Partial<QueueLimits> = {}) {
  const sent: string[] = []
  let free = connections
  const queue = new ConnectionQueue({ maxWaiting: 100, maxWaitMs: 60_000, ...limits }, (_options, sender) => {
    sent.push((sender as Caller).name)
    return --free > 0
  })
  t.teardown(() => queue.close())
  // Its own timer keeps no process alive.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(alive))
  return {
    queue,
    sent,
    /** A connection is done with its request. */
    finish (count = 1) {
      free += count
      queue.serve()
    },
    ask (name: string, isHousekeeping?: boolean) {
      const caller = new Caller(name)
      return { caller, queued: queue.dispatch(options, caller, isHousekeeping) }
    }
  }
}

test('passes on at once while there are connections, and then in order of arrival, as many as get free', async t => {
  const { queue, sent, finish, ask } = makeQueue(t, 2)
  t.equal(ask('a').queued, undefined)
  t.equal(ask('b').queued, undefined)
  for (const name of ['c', 'd', 'e']) t.ok(ask(name).queued)
  t.same([sent, queue.size], [['a', 'b'], 3])
  finish()
  t.same(sent, ['a', 'b', 'c'])
  finish(2)
  t.same([sent, queue.size], [['a', 'b', 'c', 'd', 'e'], 0])
  finish(2)
  t.equal(ask('f').queued, undefined)
})

test('who leaves is not sent and hears nothing; a second time, or once sent, leaving does nothing', async t => {
  const { queue, sent, finish, ask } = makeQueue(t, 1)
  ask('a')
  const [b, c] = [ask('b'), ask('c')]
  t.equal(b.queued?.leave(), true)
  t.equal(b.queued?.leave(), false)
  t.equal(queue.size, 1)
  finish()
  t.same(sent, ['a', 'c'])
  t.equal(c.queued?.leave(), false)
  t.equal(b.caller.error, undefined)
})

test('refuses whoever has waited too long, in time and nobody else', async t => {
  const { queue, sent, finish, ask } = makeQueue(t, 1, { maxWaitMs: 300 })
  ask('a')
  const early = ask('early').caller
  await pause(200)
  const late = ask('late').caller
  await pause(150)
  t.match(early.error, { type: 'upstream_busy', statusCode: 503, retryAfter: 1 })
  t.equal(late.error, undefined)
  t.equal(queue.size, 1)
  finish()
  await pause(400)
  t.same(sent, ['a', 'late'])
  t.equal(late.error, undefined)
})

test('refuses one too many at once; the proxy\'s own requests are never one, and go first', async t => {
  const { sent, finish, ask } = makeQueue(t, 1, { maxWaiting: 2 })
  ask('a')
  for (const name of ['b', 'c']) ask(name)
  t.match(ask('d'), { queued: undefined, caller: { error: { type: 'upstream_busy', retryAfter: 1 } } })
  const own = ask('own', true)
  t.ok(own.queued)
  t.match(ask('e').caller.error, { type: 'upstream_busy' }, 'which leaves the members\' share as it was')
  for (let count = 0; count < 3; count++) finish()
  t.same(sent, ['a', 'own', 'b', 'c'])
})

test('at the end whoever waits is told that the proxy is shutting down, and nobody waits any more', async t => {
  const { queue, ask } = makeQueue(t, 1)
  ask('a')
  const [member, own] = [ask('b').caller, ask('c', true).caller]
  queue.close()
  for (const { error } of [member, own]) t.match(error, { type: 'draining', statusCode: 503, retryAfter: 1 })
  t.equal(queue.size, 0)
  t.equal(ask('d').queued, undefined, 'the pool itself says no')
})

test('a limit of more days than a timer can count is no limit of a millisecond', async t => {
  const { ask } = makeQueue(t, 1, { maxWaitMs: 90 * 86_400_000 })
  ask('a')
  const { caller } = ask('b')
  await pause(50)
  t.equal(caller.error, undefined)
})

test('ten thousand wait, and leave from the middle, without anybody noticing the time', async t => {
  const { queue, ask } = makeQueue(t, 1, { maxWaiting: 10_000 })
  ask('a')
  const startedAt = performance.now()
  const waiting = Array.from({ length: 10_000 }, (_, index) => ask(String(index)).queued)
  for (let index = 5_000; index < 15_000; index++) waiting[index % 10_000]?.leave()
  const tookMs = performance.now() - startedAt
  t.equal(queue.size, 0)
  t.ok(tookMs < 500, `took ${Math.round(tookMs)} ms`)
})
