import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { isSame, loadLists, readPresubscriptions, refreshBase, replaceList, saveLists, unite, viewOf, type Lists, type Presubscription } from '../../src/channel/presubscriptions.ts'
import { Subscriptions } from '../../src/channel/subscriptions.ts'
import { MapState } from '../support/map-state.ts'

t.test('a subscription is let go with its last holder', async t => {
  const state = new MapState()
  const subscriptions = new Subscriptions(state)
  subscriptions.add('ada', 'd', '3/0/1')
  subscriptions.add('ada', 'd', '3/0/1')
  subscriptions.add('bob', 'd', '3/0/1')
  subscriptions.add('bob', 'd', '3/0/2')
  t.ok(subscriptions.heldByOthers('ada', 'd', '3/0/1'))
  t.notOk(subscriptions.heldByOthers('bob', 'd', '3/0/2'))
  t.ok(subscriptions.heldByOthers('ada', 'd', '3/0/2'), 'also for somebody who never held it')
  t.notOk(subscriptions.heldByOthers('ada', 'e', '1'))
  t.same(subscriptions.onDevice('ada', 'd'), { own: ['3/0/1'], others: true })
  subscriptions.remove('bob', 'd', '3/0/1')
  t.notOk(subscriptions.heldByOthers('ada', 'd', '3/0/1'))
  t.same(new Subscriptions(state).all(), [{ device: 'd', path: '3/0/1' }, { device: 'd', path: '3/0/2' }], 'survives')
  subscriptions.remove('ada', 'd', '3/0/1')
  subscriptions.remove('bob', 'd', '3/0/2')
  subscriptions.remove('bob', 'd', 'never')
  t.same([subscriptions.size, subscriptions.all(), state.size], [0, [], 0])
})

t.test('reads arrays of objects only', async t => {
  for (const text of ['', '{}', 'null', '[1]', '[null]', '[[]]', '["a"]', '[{}']) t.equal(readPresubscriptions(text), undefined, text)
  t.same(readPresubscriptions('[{"endpoint-type":"Light"}]'), [{ 'endpoint-type': 'Light' }])
  t.same(readPresubscriptions('[]'), [])
})

const entry = (type: string): Presubscription => ({ 'endpoint-type': type })
const none: Lists = { base: [], members: new Map() }

t.test('what was there before the proxy is kept, whatever members do', async t => {
  const start = refreshBase(none, [entry('old')])
  const withAda = replaceList(start, 'ada', [entry('a'), entry('old')])
  t.same(unite(withAda), [entry('old'), entry('a')])
  t.same(withAda.members.get('ada'), [entry('a')], 'what is the base\'s anyway is no member\'s')
  t.same(unite(replaceList(withAda, 'ada', [])), [entry('old')])
})

t.test('members see the base and their own, not each other\'s', async t => {
  const lists = replaceList(replaceList(refreshBase(none, [entry('old')]), 'ada', [entry('a')]), 'bob', [entry('b')])
  t.same(viewOf(lists, 'ada'), [entry('old'), entry('a')])
  t.same(viewOf(lists, 'cyd'), [entry('old')])
})

t.test('what came or went outside the proxy is taken over', async t => {
  const lists = replaceList(refreshBase(none, [entry('old')]), 'ada', [entry('a')])
  t.same(refreshBase(lists, [entry('old'), entry('a'), entry('new')]).base, [entry('old'), entry('new')])
  t.same(refreshBase(lists, [entry('a')]).base, [])
})

t.test('the order of an entry\'s fields makes no difference, that of its paths does', async t => {
  const a = { 'endpoint-name': 'x', 'resource-path': ['1', '2'] }
  t.ok(isSame([a], [{ 'resource-path': ['1', '2'], 'endpoint-name': 'x' }]))
  t.notOk(isSame([a], [{ 'endpoint-name': 'x', 'resource-path': ['2', '1'] }]))
  t.notOk(isSame([a], []))
})

t.test('whatever members do in whatever order, upstream has the base and the sum of their lists', async () => {
  const types = fc.subarray(['1', '2', '3', '4', '5'])
  const change = fc.record({ member: fc.constantFrom('ada', 'bob', 'cyd'), types, restart: fc.boolean() })
  fc.assert(fc.property(types, fc.array(change), (before, changes) => {
    const state = new MapState()
    let upstream = before.map(entry)
    const wanted = new Map<string, Presubscription[]>()
    for (const { member, types } of changes) {
      const stored = loadLists(state)
      const next = replaceList(refreshBase(stored, upstream), member, types.map(entry))
      upstream = unite(next)
      saveLists(state, stored, next)
      wanted.set(member, types.map(entry))
      assert.ok(isSame(upstream, [...before.map(entry), ...[...wanted.values()].flat()]))
    }
  }), { numRuns: 1000 })
})
