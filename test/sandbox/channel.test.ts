import { test } from 'tap'
import { Channel } from '../../src/sandbox/channel.ts'
import type { Sink } from '../../src/sandbox/channel.ts'
import { Channels } from '../../src/sandbox/channels.ts'
import type { Serialization } from '../../src/sandbox/event-queue.ts'
import { readSerialization, EventQueue } from '../../src/sandbox/event-queue.ts'
import { makeIdentifiers } from '../../src/sandbox/identifiers.ts'
import { settle } from '../../src/sandbox/options.ts'
import { Timers } from '../../src/sandbox/timers.ts'
import { waitFor } from '../support/wait-for.ts'

const serialization = readSerialization(undefined) as Serialization
const event = (ep: string) => ({ kind: 'registrations' as const, item: { ep }, uid: ep, timestamp: 0 })

/** Keeps what it is given; fails as often as it was told. */
function makeSink (failures = 0): Sink & { texts: string[] } {
  const texts: string[] = []
  return {
    texts,
    deliver: async text => {
      if (failures-- > 0) throw new Error('not delivered')
      texts.push(text)
    },
    displaced: () => {},
    closed: () => {}
  }
}

test('puts back what could not be delivered, ahead of what came since', async t => {
  const timers = new Timers()
  t.teardown(() => timers.close())
  const channel = new Channel('WEB_SOCKET', serialization, { timers, batchMs: 1, maxQueueBytes: 1000 })
  channel.push(event('a'))
  const sink = makeSink(2)
  channel.attach(sink)
  channel.push(event('b'))
  await waitFor('the delivery', () => sink.texts.join(''), text => text.includes('"b"'))
  t.strictSame(sink.texts, ['{"registrations":[{"ep":"a"},{"ep":"b"}]}'])
  t.equal(channel.queue.length, 0)
})

test('counts what is put back into the queue', async t => {
  const queue = new EventQueue(serialization, 50)
  queue.push(event('a'))
  queue.take()?.putBack()
  queue.push(event('b'))
  t.equal(queue.take()?.text, '{"registrations":[{"ep":"a"},{"ep":"b"}]}')
  t.equal(queue.take(), undefined)
})

test('keeps a channel as long as somebody is connected, and takes nothing once it is deleted', async t => {
  const timers = new Timers()
  t.teardown(() => timers.close())
  const ids = makeIdentifiers(Date.now)
  const channels = new Channels(settle({ secondMs: 0.0002 }), timers, ids)
  const { channel } = channels.open('scope', 'WEB_SOCKET', serialization)
  const sink = makeSink()
  channel.attach(sink)
  await new Promise(resolve => setTimeout(resolve, 100))
  t.equal(channels.get('scope'), channel, 'five days on')
  channel.detach(sink)
  await waitFor('the end', () => channels.get('scope'), found => found === undefined)
  channel.push(event('late'))
  t.equal(channel.queue.length, 0)
  t.notOk(channels.delete('scope'))
})
