import t from 'tap'
import { AnswerRouting } from '../../src/channel/answer-routing.ts'
import { AsyncIds, type Asker } from '../../src/channel/async-ids.ts'
import { EarlyAnswers } from '../../src/channel/early-answers.ts'
import type { Answer } from '../../src/channel/message.ts'
import { MapState } from '../support/map-state.ts'

const limits = { perMember: 2, total: 3 }
const asker = (member: string | null, clientId: string, expiresAt = 1000): Asker => ({ member, clientId, trailId: `trail-${clientId}`, instance: 'here', waits: false, askedAt: 10, expiresAt })
const answer = (id: string, status = 200): Answer => ({ id, status, text: JSON.stringify({ id, status }) })

function makeRouting () {
  const delivered: Array<[member: string, text: string]> = []
  const noted: unknown[] = []
  const ids = new AsyncIds(new MapState(), { perMember: 100, total: 100 }, 0)
  const early = new EarlyAnswers(100, 1000)
  const routing = new AnswerRouting('here', ids, early, {
    deliver: (member, text) => delivered.push([member, text]),
    noteAnswer: (trailId, status, latencyMs) => noted.push([trailId, status, latencyMs])
  })
  return { routing, ids, early, delivered, noted }
}

t.test('two members may use the same id: each gets its own answer', async t => {
  const { routing, delivered, noted, ids } = makeRouting()
  routing.expect('p1', asker('ada', '1'))
  routing.expect('p2', asker('bob', '1'))
  routing.route([answer('p2', 404), answer('p1')], 25)
  t.same(delivered, [['bob', '{"async-responses":[{"id":"1","status":404}]}'], ['ada', '{"async-responses":[{"id":"1","status":200}]}']])
  t.same(noted, [['trail-1', 404, 15], ['trail-1', 200, 15]])
  t.equal(ids.size, 0)
})

t.test('answers for one member in one message stay in one message', async t => {
  const { routing, delivered } = makeRouting()
  routing.expect('p1', asker('ada', 'a'))
  routing.expect('p2', asker('ada', 'b'))
  routing.route([answer('p1'), answer('p2')], 0)
  t.same(delivered, [['ada', '{"async-responses":[{"id":"a","status":200},{"id":"b","status":200}]}']])
})

t.test('an answer that overtakes the 202 finds its member', async t => {
  const { routing, delivered, early } = makeRouting()
  routing.route([answer('server-1')], 0)
  t.same(delivered, [])
  routing.learn('server-1', asker('ada', 'server-1'), 50)
  t.same(delivered, [['ada', '{"async-responses":[{"id":"server-1","status":200}]}']])
  t.equal(early.size, 0)
})

t.test('an answer nobody here asked for reaches nobody, and is counted', async t => {
  const { routing, delivered, early } = makeRouting()
  routing.route([answer('stranger')], 0)
  early.expire(99)
  t.equal(early.unclaimed, 0)
  early.expire(100)
  t.same([early.unclaimed, early.size, delivered], [1, 0, []])
})

t.test('a waiter takes the answer in place of the channel, and gives it back', async t => {
  const { routing, delivered } = makeRouting()
  const taken: string[] = []
  routing.expect('p1', asker('ada', 'a'))
  routing.intercept('p1', text => taken.push(text))
  routing.expect('p2', asker('ada', 'b'))
  routing.intercept('p2', text => taken.push(text))()
  routing.route([answer('p1'), answer('p2')], 0)
  t.same(taken, ['{"id":"a","status":200}'])
  t.same(delivered, [['ada', '{"async-responses":[{"id":"b","status":200}]}']])
})

t.test('an answer to the proxy itself is nobody\'s', async t => {
  const { routing, delivered, noted } = makeRouting()
  routing.expect('p1', asker(null, 'x'))
  routing.route([answer('p1')], 0)
  t.same([delivered.length, noted.length], [0, 1])
})

t.test('an answer comes once', async t => {
  const { routing, delivered, early } = makeRouting()
  routing.expect('p1', asker('ada', 'a'))
  routing.route([answer('p1')], 0)
  routing.route([answer('p1')], 0)
  t.same([delivered.length, early.size], [1, 1])
})

t.test('early answers are bounded in bytes, the oldest go', async t => {
  const early = new EarlyAnswers(1000, 100)
  for (let n = 0; n < 10; n++) early.add(answer(`id-${n}`), n)
  t.ok(early.size > 0 && early.size < 5)
  t.equal(early.unclaimed + early.size, 10)
  t.equal(early.take('id-0'), undefined)
  t.equal(early.take('id-9')?.id, 'id-9')
})

t.test('what was asked survives in the state, what was answered doesn\'t', async t => {
  const state = new MapState()
  const before = new AsyncIds(state, limits, 0)
  before.add('p1', asker('ada', '1'))
  before.add('p2', asker('bob', '1'))
  before.take('p1')
  const after = new AsyncIds(state, limits, 999)
  t.equal(after.size, 1)
  t.same(after.take('p2'), asker('bob', '1'))
  t.equal(new AsyncIds(state, limits, 0).size, 0)
})

t.test('what expired is forgotten, at start and later', async t => {
  const state = new MapState()
  new AsyncIds(state, limits, 0).add('p1', asker('ada', '1', 500))
  t.equal(new AsyncIds(state, limits, 500).size, 0)
  t.equal(state.size, 0)
  const ids = new AsyncIds(state, limits, 0)
  ids.add('p1', asker('ada', '1', 500))
  ids.add('p2', asker('ada', '2', 900))
  ids.expire(500)
  t.equal(ids.size, 1)
})

t.test('a member can\'t fill the table alone, nor all together beyond the limit', async t => {
  const ids = new AsyncIds(new MapState(), limits, 0)
  ids.add('p1', asker('ada', '1'))
  ids.add('p2', asker('ada', '2'))
  t.same([ids.hasRoom('ada'), ids.hasRoom('bob')], [false, true])
  ids.add('p3', asker('bob', '1'))
  t.notOk(ids.hasRoom('cyd'))
  ids.take('p1')
  t.ok(ids.hasRoom('ada'))
})
