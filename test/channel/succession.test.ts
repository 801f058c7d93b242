import t from 'tap'
import { Succession, type SuccessionParts } from '../../src/channel/succession.ts'
import { MapState } from '../support/map-state.ts'

/** An instance, and what it finds. `state` and `epoch` are what the instances have in common. */
function makeInstance (name: string, state: MapState, epoch = 'log') {
  const now = { confirmed: true, receives: false, broughtOut: true, epoch, logIsKnown: true, caughtUp: () => {}, lost: 0, published: 0 }
  const parts: SuccessionParts = {
    state,
    log: { head: 7, idOf: position => `${now.epoch}-${position}`, positionOf: id => id.startsWith(`${now.epoch}-`) ? 7 : undefined },
    sharing: {
      isShared: true,
      instance: name,
      lease: { get confirmed () { return now.confirmed }, hold () {}, release: async () => {} },
      get isBroughtOut () { return now.broughtOut },
      ready: async () => now.logIsKnown,
      catchUp: async () => now.caughtUp(),
      publish: async () => { now.published++ }
    },
    isReceiving: () => now.receives,
    holderLost: () => { now.lost++ },
    readyMs: 1
  }
  const succession = new Succession(parts)
  const begin = async () => {
    succession.begin()
    await succession.ready()
  }
  return { now, succession, begin }
}

/** An instance that holds the channel, its socket open. */
async function startReceiver (name: string, state: MapState) {
  const instance = makeInstance(name, state)
  await instance.begin()
  instance.now.receives = true
  instance.succession.note()
  return instance
}

t.test('a successor finds whoever received and did not strike that out', async t => {
  const state = new MapState()
  const first = await startReceiver('one', state)
  t.equal(first.now.lost, 0, 'not the first of all')
  t.same(state.get('receiver'), { by: 'one', since: 'log-7' })
  const second = makeInstance('two', state)
  await second.begin()
  t.equal(second.now.lost, 1)
  t.equal(second.now.published, 1, 'the others know before anything is dialled')
  t.equal(state.get('receiver'), undefined, 'its own socket is closed')
})

t.test('a gap that is not on the log yet is owed by the next one, too', async t => {
  const state = new MapState()
  await startReceiver('one', state)
  const second = makeInstance('two', state)
  second.now.broughtOut = false
  await second.begin()
  t.match(state.get('receiver'), { by: 'two' })
  second.now.broughtOut = true
  second.succession.note()
  t.equal(state.get('receiver'), undefined)
})

t.test('one that stops strikes itself out when all is on the log', async t => {
  const state = new MapState()
  const { now, succession } = await startReceiver('one', state)
  now.receives = false
  now.broughtOut = false
  succession.note()
  t.match(state.get('receiver'), { by: 'one' }, 'Redis does not have everything')
  now.broughtOut = true
  succession.note()
  const second = makeInstance('two', state)
  await second.begin()
  t.equal(second.now.lost, 0)
})

t.test('what was struck out a moment ago is read before', async t => {
  const state = new MapState()
  await startReceiver('one', state)
  const second = makeInstance('two', state)
  second.now.caughtUp = () => state.delete('receiver')
  await second.begin()
  t.equal(second.now.lost, 0)
})

t.test('its own name is no loss; one of another log is none either, unless the log is not known', async t => {
  const state = new MapState()
  const { now, begin } = await startReceiver('one', state)
  await begin()
  t.equal(now.lost, 0)
  for (const [logIsKnown, lost] of [[true, 0], [false, 1]] as const) {
    state.set('receiver', { by: 'long ago', since: 'old-3' })
    const next = makeInstance('two', state)
    next.now.logIsKnown = logIsKnown
    await next.begin()
    t.equal(next.now.lost, lost)
  }
})

t.test('who lost the lease, or cannot know, leaves alone what stands there', async t => {
  const state = new MapState()
  const first = await startReceiver('one', state)
  state.set('receiver', { by: 'two', since: 'log-9' })
  first.now.confirmed = false
  first.now.receives = false
  first.succession.note()
  first.now.confirmed = true
  first.succession.end()
  first.succession.note()
  t.match(state.get('receiver'), { by: 'two' })
})

t.test('a lease that was lost before the other had been looked for brings no gap', async t => {
  const state = new MapState()
  await startReceiver('one', state)
  const second = makeInstance('two', state)
  second.succession.begin()
  second.succession.end()
  await second.succession.ready()
  t.equal(second.now.lost, 0)
  t.match(state.get('receiver'), { by: 'one' })
})

t.test('a new log, or a name that another wrote down late, is put right', async t => {
  const state = new MapState()
  const { now, succession } = await startReceiver('one', state)
  now.epoch = 'new'
  succession.note()
  t.same(state.get('receiver'), { by: 'one', since: 'new-7' })
  state.set('receiver', { by: 'late', since: 'new-2' })
  succession.note()
  t.match(state.get('receiver'), { by: 'one' })
})
