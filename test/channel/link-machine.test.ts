import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { initialLink, step, type Link, type LinkEffect, type LinkEvent } from '../../src/channel/link-machine.ts'

function run (from: Partial<Link>, ...events: LinkEvent[]): { link: Link, effects: string[] } {
  let link: Link = { ...initialLink, ...from }
  const effects: string[] = []
  for (const event of events) {
    const [next, ...caused] = step(link, event, 0)
    link = next
    effects.push(...caused.map(describe))
  }
  return { link, effects }
}

function describe (effect: LinkEffect): string {
  if (effect.do === 'wait') return `wait ${effect.ms}`
  return effect.do === 'report' ? effect.what : effect.do
}

const open: Partial<Link> = { state: 'open', wanted: true, registered: true, known: true }
const closed = (code: number, openMs = 0): LinkEvent => ({ type: 'closed', code, openMs })

t.test('decides by close code, refusal and demand', async t => {
  const cases: Array<[title: string, from: Partial<Link>, events: LinkEvent[], state: string, effects: string[]]> = [
    ['registers, waits a little for a new channel, dials', {}, [{ type: 'wanted' }, { type: 'registered', created: true }, { type: 'timer' }, { type: 'opened' }], 'open', ['register', 'wait 500', 'dial']],
    ['dials an existing channel at once', {}, [{ type: 'wanted' }, { type: 'registered', created: false }], 'connecting', ['register', 'dial']],
    ['1006: dials again after a moment', open, [closed(1006), { type: 'timer' }], 'connecting', ['wait 1000', 'dial']],
    ['1012: dials again after a moment', open, [closed(1012), { type: 'timer' }], 'connecting', ['wait 1000', 'dial']],
    ['failures in a row wait longer', { ...open, failures: 3 }, [closed(1006, 100)], 'waiting', ['wait 8000']],
    ['a connection that held begins a new row', { ...open, failures: 5 }, [closed(1006, 60_000)], 'waiting', ['wait 1000']],
    ['never waits longer than 30 s', { ...open, failures: 40 }, [closed(1006)], 'waiting', ['wait 30000']],
    ['1011: registers again', open, [closed(1011), { type: 'timer' }], 'registering', ['wait 1000', 'register']],
    ['1000, not ours: the channel was deleted, registers again', open, [closed(1000), { type: 'timer' }, { type: 'registered', created: true }], 'settling', ['wait 1000', 'register', 'recreated', 'wait 500']],
    ['1001, not ours: no eviction war', open, [closed(1001)], 'waiting', ['evicted', 'wait 30000']],
    ['after an eviction it tells that events went elsewhere, once', open, [closed(1001), { type: 'timer' }, { type: 'opened' }, closed(1012), { type: 'timer' }, { type: 'opened' }], 'open', ['evicted', 'wait 30000', 'dial', 'missed', 'wait 1000', 'dial']],
    ['the fifth eviction in a row waits eight minutes', { ...open, evictions: 4 }, [closed(1001, 1000)], 'waiting', ['evicted', 'wait 480000']],
    ['evictions wait a quarter of an hour at most', { ...open, evictions: 90 }, [closed(1001, 1000)], 'waiting', ['evicted', 'wait 900000']],
    ['an eviction long after the last is the first again', { ...open, evictions: 4 }, [closed(1001, 600_000)], 'waiting', ['evicted', 'wait 30000']],
    ['1008: stops until the key changes', open, [closed(1008)], 'refused', ['key_refused']],
    ['1008: somebody who wants it again changes nothing', open, [closed(1008), { type: 'unwanted' }, { type: 'wanted' }], 'refused', ['key_refused']],
    ['a new key after 1008 is tried', open, [closed(1008), { type: 'key-changed', isSockets: false }], 'registering', ['key_refused', 'register']],
    ['401 at the registration is looked at again after minutes', { wanted: true, state: 'registering' }, [{ type: 'refused', status: 401 }, { type: 'timer' }], 'registering', ['key_refused', 'wait 300000', 'register']],
    ['401 at the handshake too', { ...open, state: 'connecting' }, [{ type: 'refused', status: 401 }], 'refused', ['key_refused', 'wait 300000']],
    ['429 at the handshake waits as long as it says', { ...open, state: 'connecting' }, [{ type: 'refused', status: 429, retryAfterMs: 7000 }, { type: 'timer' }], 'connecting', ['handshake_busy', 'wait 7000', 'dial']],
    ['another refusal of the handshake registers again', { ...open, state: 'connecting' }, [{ type: 'refused', status: 404 }, { type: 'timer' }], 'registering', ['wait 1000', 'register']],
    ['a 503 of the handshake keeps the registration', { ...open, state: 'connecting' }, [{ type: 'refused', status: 503 }, { type: 'timer' }], 'connecting', ['wait 1000', 'dial']],
    ['a foreign callback is left alone', { wanted: true, state: 'registering' }, [{ type: 'refused', status: 400, mechanism: 'CALLBACK' }], 'taken', ['taken', 'wait 300000']],
    ['and looked at again', { wanted: true, state: 'taken', takenBy: 'CALLBACK' }, [{ type: 'timer' }, { type: 'registered', created: true }], 'settling', ['register', 'wait 500']],
    ['no network: tries again', { wanted: true, state: 'registering' }, [{ type: 'failed' }, { type: 'timer' }], 'registering', ['wait 1000', 'register']],
    ['unwanted: closes', open, [{ type: 'unwanted' }, closed(1000)], 'idle', ['close']],
    ['wanted again while closing: dials once it has closed', open, [{ type: 'unwanted' }, { type: 'wanted' }, closed(1000)], 'connecting', ['close', 'dial']],
    ['unwanted while connecting: closes what opens', { ...open, state: 'connecting' }, [{ type: 'unwanted' }, { type: 'opened' }], 'closing', ['close']],
    ['leaving and coming back cuts no delay short', open, [closed(1001), { type: 'unwanted' }, { type: 'wanted' }], 'waiting', ['evicted', 'wait 30000']],
    ['nobody wants it when the delay is over', open, [closed(1001), { type: 'unwanted' }, { type: 'timer' }], 'idle', ['evicted', 'wait 30000']]
  ]
  for (const [title, from, events, state, effects] of cases) {
    const result = run(from, ...events)
    t.same([result.link.state, result.effects], [state, effects], title)
  }
})

t.test('changes over to a new key once it is proven, without a second socket', async t => {
  const cases: Array<[title: string, events: LinkEvent[], state: string, effects: string[]]> = [
    ['proves it, closes, dials', [{ type: 'registered', created: false }, closed(1000), { type: 'opened' }], 'open', ['register', 'close', 'dial']],
    ['a key of another application has another channel', [{ type: 'registered', created: true }, closed(1000)], 'connecting', ['register', 'recreated', 'close', 'dial']],
    ['a bad key leaves the old socket open, and is tried again later', [{ type: 'refused', status: 401 }, { type: 'timer' }], 'proving', ['register', 'key_refused', 'wait 300000', 'register']],
    ['so does a key that could not be tried', [{ type: 'failed' }], 'open', ['register', 'wait 8000']],
    ['the old socket ends meanwhile', [closed(1008), { type: 'registered', created: false }], 'connecting', ['register', 'dial']],
    ['the key falls back to the socket\'s own: nothing happens', [{ type: 'key-changed', isSockets: true }, { type: 'refused', status: 401 }], 'open', ['register', 'key_refused']],
    ['or does so after the answer', [{ type: 'refused', status: 401 }, { type: 'key-changed', isSockets: true }, { type: 'timer' }], 'open', ['register', 'key_refused', 'wait 300000']],
    ['or while the socket ends', [{ type: 'key-changed', isSockets: true }, closed(1006), { type: 'refused', status: 401 }], 'registering', ['register', 'register']],
    ['another key when one was refused is proven at once', [{ type: 'key-changed', isSockets: false }, { type: 'refused', status: 401 }], 'proving', ['register', 'key_refused', 'register']],
    ['a third key meanwhile is the one to prove', [{ type: 'key-changed', isSockets: false }, { type: 'registered', created: false }, { type: 'registered', created: false }], 'closing', ['register', 'register', 'close']]
  ]
  for (const [title, events, state, effects] of cases) {
    const result = run(open, { type: 'key-changed', isSockets: false }, ...events)
    t.same([result.link.state, result.effects], [state, effects], title)
  }
  t.same(run({ ...open, state: 'connecting' }, { type: 'key-changed', isSockets: false }, { type: 'opened' }, closed(1000)).effects, ['close', 'register'], 'amid a dial')
})

/**
 * The world around the machine: one request or socket at most under way, a timer, answers of any kind.
 * Whatever happens in whatever order, there is never a second socket, nor a second request.
 */
t.test('never has two sockets, two requests or nothing at all under way', async () => {
  const action = fc.oneof(
    fc.constantFrom<LinkEvent>({ type: 'wanted' }, { type: 'unwanted' }, { type: 'key-changed', isSockets: false }, { type: 'key-changed', isSockets: true }),
    fc.record({ type: fc.constant('answer' as const), choice: fc.nat(5) }),
    fc.record({ type: fc.constant('close' as const), code: fc.constantFrom(1000, 1001, 1006, 1008, 1011, 1012), openMs: fc.nat(700_000) }),
    fc.constant({ type: 'time' as const })
  )
  fc.assert(fc.property(fc.array(action, { maxLength: 60, size: 'max' }), fc.double({ min: 0, max: 1, noNaN: true }), (actions, random) => {
    const world = { link: initialLink, socket: 'none' as 'none' | 'dialling' | 'open', registering: false, timer: false }
    const feed = (event: LinkEvent) => {
      const [next, ...effects] = step(world.link, event, random)
      world.link = next
      if (effects.some(effect => effect.do !== 'report')) world.timer = false
      for (const effect of effects) apply(effect)
    }
    const apply = (effect: LinkEffect) => {
      if (effect.do === 'register') {
        assert.ok(!world.registering, 'a second registration')
        world.registering = true
      } else if (effect.do === 'dial') {
        assert.equal(world.socket, 'none', 'a second socket')
        world.socket = 'dialling'
      } else if (effect.do === 'close') assert.equal(world.socket, 'open', 'closes what is open')
      else if (effect.do === 'wait') world.timer = true
    }
    for (const action of actions) {
      if (action.type === 'answer') answer(action.choice)
      else if (action.type === 'close') {
        if (world.socket !== 'open') continue
        world.socket = 'none'
        feed({ type: 'closed', code: world.link.state === 'closing' ? 1000 : action.code, openMs: action.openMs })
      } else if (action.type === 'time') {
        if (!world.timer) continue
        world.timer = false
        feed({ type: 'timer' })
      } else if (action.type === 'key-changed') feed({ ...action, isSockets: action.isSockets && world.socket === 'open' })
      else if (action.type !== 'wanted' || !world.link.wanted || world.link.state === 'taken') feed(action)
      const settled = world.link.state === 'idle' || world.link.state === 'refused'
      assert.ok(settled || world.timer || world.registering || world.socket !== 'none', `stuck: ${world.link.state}`)
    }

    function answer (choice: number): void {
      if (world.registering) {
        world.registering = false
        feed([{ type: 'registered', created: true }, { type: 'registered', created: false }, { type: 'failed' }, { type: 'refused', status: 401 }, { type: 'refused', status: 400, mechanism: 'CALLBACK' }, { type: 'refused', status: 503 }][choice] as LinkEvent)
      } else if (world.socket === 'dialling') {
        world.socket = choice < 3 ? 'open' : 'none'
        feed(choice < 3 ? { type: 'opened' } : choice === 3 ? { type: 'failed' } : { type: 'refused', status: choice === 4 ? 429 : 401 })
      }
    }
  }), { numRuns: 20_000 })
})
