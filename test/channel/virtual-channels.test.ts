import t from 'tap'
import { Acknowledgement } from '../../src/channel/acknowledgement.ts'
import { VirtualChannels, type ChannelName } from '../../src/channel/virtual-channels.ts'
import { MapState } from '../support/map-state.ts'

const ada: ChannelName = { member: 'ada', consumer: '', kind: 'websocket' }
const hour = 3_600_000

t.test('registers once, as the API does', async t => {
  const channels = new VirtualChannels(new MapState(), 0)
  t.equal(channels.register(ada, { cfg: {} }, 5, 0).created, true)
  const again = channels.register(ada, { other: 1 }, 9, 0)
  t.equal(again.created, false)
  t.same(again.channel.serialization, { cfg: {} }, 'a second PUT has no effect')
  t.equal(channels.find({ ...ada, member: 'bob' }), undefined)
})

t.test('events wait from the registration on, and between connections', async t => {
  const channels = new VirtualChannels(new MapState(), 0)
  const { channel } = channels.register(ada, null, 5, 0)
  t.equal(channels.queued(channel, 8), 3)
  t.equal(channels.attach(channel, 8, 0), 5)
  t.equal(channels.queued(channel, 8), 0)
  channels.detach(channel, 7, 10)
  t.equal(channels.queued(channel, 20), 13)
  t.equal(channels.attach(channel, 20, hour), 7)
})

t.test('a second connection begins with the next event', async t => {
  const channels = new VirtualChannels(new MapState(), 0)
  const { channel } = channels.register(ada, null, 0, 0)
  channels.attach(channel, 5, 0)
  t.equal(channels.attach(channel, 5, 0), 5)
})

t.test('each of several connections goes on from where one ended', async t => {
  const channels = new VirtualChannels(new MapState(), 0)
  const { channel } = channels.register(ada, null, 0, 0)
  channels.attach(channel, 0, 0)
  channels.attach(channel, 0, 0)
  channels.detach(channel, 100, 0)
  channels.detach(channel, 200, 60_000)
  t.equal(channels.attach(channel, 300, 60_001), 200, 'the one that ended last comes back first')
  t.equal(channels.attach(channel, 300, 60_002), 100)
  t.equal(channels.attach(channel, 300, 60_003), 300)
})

t.test('connections that ended together all go on from the slowest', async t => {
  const channels = new VirtualChannels(new MapState(), 0)
  const { channel } = channels.register(ada, null, 0, 0)
  channels.attach(channel, 0, 0)
  channels.attach(channel, 0, 0)
  channels.detach(channel, 150, 1000)
  channels.detach(channel, 152, 1500)
  t.same([channels.attach(channel, 300, 2000), channels.attach(channel, 300, 2000)], [150, 150])
})

t.test('remembers no more than so many ends', async t => {
  const channels = new VirtualChannels(new MapState(), 0)
  const { channel } = channels.register(ada, null, 0, 0)
  for (let n = 1; n <= 100; n++) channels.detach(channel, n, n * 10_000)
  t.equal(channel.left.length, 16)
  t.equal(channel.left[0]?.position, 85)
})

t.test('a deleted channel is gone until it is registered again', async t => {
  const channels = new VirtualChannels(new MapState(), 0)
  t.notOk(channels.remove(ada))
  t.notOk(channels.isDeleted(ada), 'what never was isn\'t deleted')
  channels.register(ada, null, 0, 0)
  t.ok(channels.remove(ada))
  t.ok(channels.isDeleted(ada))
  channels.register(ada, null, 0, 0)
  t.notOk(channels.isDeleted(ada))
})

t.test('expires when nobody was connected for as long as the API waits', async t => {
  const state = new MapState()
  const channels = new VirtualChannels(state, 0)
  channels.register(ada, null, 0, 0)
  channels.register({ ...ada, kind: 'pull' }, null, 0, 0)
  const { channel } = channels.register({ ...ada, consumer: 'open' }, null, 0, 0)
  channels.attach(channel, 0, 0)
  channels.expire(600_000)
  t.equal(channels.find({ ...ada, kind: 'pull' }), undefined, 'ten minutes for a long poll')
  t.ok(channels.find(ada))
  channels.expire(24 * hour)
  t.equal(channels.find(ada), undefined, 'a day for a WebSocket')
  t.equal(channels.find(channel), channel, 'an open one never')
  t.equal(state.size, 1)
})

t.test('after a restart everyone known hears everything since', async t => {
  const state = new MapState()
  const before = new VirtualChannels(state, 0)
  const { channel } = before.register(ada, { cfg: { deregistrations_as_object: true } }, 77, 0)
  before.attach(channel, 90, 0)
  const after = new VirtualChannels(state, hour)
  const found = after.find(ada)
  t.same(found?.serialization, { cfg: { deregistrations_as_object: true } })
  t.equal(found && after.attach(found, 12, hour), 0)
  t.equal(new VirtualChannels(state, 25 * hour).size, 0, 'but not after a day')
})

t.test('a pong says that everything before its ping has arrived', async t => {
  const ack = new Acknowledgement(10, 0)
  t.equal(ack.arrived(12), 12, 'nothing sent: what was read was for others')
  ack.sent(13, 1)
  t.equal(ack.arrived(13), 10)
  t.equal(ack.due(1, 30_000), 13, 'at once')
  ack.sent(15, 100)
  t.equal(ack.due(900, 30_000), undefined, 'one at a time')
  ack.received(99)
  t.equal(ack.arrived(15), 10, 'a pong nobody asked for says nothing')
  t.equal(ack.silentMs(201), 200)
  ack.received(13)
  t.equal(ack.arrived(15), 13)
  ack.sent(16, 200)
  t.equal(ack.due(250, 30_000), undefined, 'amid a stream not more often than four times a second')
  ack.sent(17, 251)
  t.equal(ack.due(251, 30_000), 17)
  ack.received(17)
  ack.sent(18, 300)
  t.equal(ack.due(399, 30_000), undefined)
  t.equal(ack.due(400, 30_000), 18, 'sooner behind the last')
  ack.received(18)
  t.equal(ack.arrived(20), 20)
  t.equal(ack.silentMs(5_000), 0)
  t.equal(ack.due(30_399, 30_000), undefined)
  t.equal(ack.due(30_400, 30_000), 18, 'and one when all was quiet')
})
