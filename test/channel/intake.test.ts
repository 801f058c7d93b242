import t from 'tap'
import { AnswerRouting } from '../../src/channel/answer-routing.ts'
import { AsyncIds } from '../../src/channel/async-ids.ts'
import { EarlyAnswers } from '../../src/channel/early-answers.ts'
import { Intake } from '../../src/channel/intake.ts'
import { LogReader, type Sight } from '../../src/channel/log-reader.ts'
import { MemoryLog } from '../../src/channel/memory-log.ts'
import { RecentUids } from '../../src/channel/recent-uids.ts'
import { MapState } from '../support/map-state.ts'

const everything: Sight = { seesAllDevices: () => true, maySeeDevice: () => true }
const ada = { name: 'ada', role: 'member' as const }
const bob = { name: 'bob', role: 'member' as const }

function makeIntake (maxBytes = 1e6) {
  const log = new MemoryLog({ maxBytes, maxAgeMs: 1e9 }, 'e', () => 0)
  const ids = new AsyncIds(new MapState(), { perMember: 9, total: 9 }, 0)
  const routing = new AnswerRouting('here', ids, new EarlyAnswers(100, 1000), { deliver: (to, text) => log.append({ to, text, gap: null }), noteAnswer () {} })
  const intake = new Intake(log, routing, new RecentUids(100), data => Buffer.from(data.toString().replace('our key', '*******')))
  return { log, routing, intake, receive: (text: string | Buffer, isBinary = false) => intake.receive(Buffer.from(text), isBinary, 0) }
}

function readAll (reader: LogReader): string[] {
  const read: string[] = []
  for (let delivery = reader.next(); delivery !== undefined; delivery = reader.next()) {
    read.push(delivery.kind === 'gap' ? delivery.reason : delivery.bytes.toString())
  }
  return read
}

t.test('what cannot be read leaves a gap that every listener is told of', async t => {
  const { log, intake, receive } = makeIntake()
  for (const [data, isBinary] of [['nonsense', false], ['[1]', false], ['{"a":', false], ['{}', true]] as const) t.notOk(receive(data, isBinary))
  t.ok(receive('{"n":[1]}'))
  t.same(readAll(new LogReader(log, everything, ada, false, 0)), [...Array.from({ length: 4 }, () => 'message_unreadable'), '{"n":[1]}'])
  t.same([intake.messages, intake.unreadable], [5, 4])
})

t.test('items that the API delivers twice come once', async t => {
  const { log, receive } = makeIntake()
  receive('{"n":[{"uid":"1"},{"uid":"2"}]}')
  receive('{"n":[{"uid":"2"},{"uid":"3"}]}')
  receive('{"n":[{"uid":"3"}]}')
  t.same(readAll(new LogReader(log, everything, ada, false, 0)), ['{"n":[{"uid":"1"},{"uid":"2"}]}', '{"n":[{"uid":"3"}]}'])
})

t.test('our own key is masked before anybody hears of it', async t => {
  const { log, receive } = makeIntake()
  receive('{"n":["our key"]}')
  t.same(readAll(new LogReader(log, everything, ada, false, 0)), ['{"n":["*******"]}'])
})

t.test('the API\'s empty message passes', async t => {
  const { log, receive } = makeIntake()
  receive('{}')
  t.same(readAll(new LogReader(log, everything, ada, false, 0)), ['{}'])
})

t.test('an answer is read by whoever asked, and by nobody else', async t => {
  const { log, routing, receive } = makeIntake()
  routing.expect('p1', { member: 'ada', clientId: '7', trailId: '', instance: 'here', waits: false, askedAt: 0, expiresAt: 1 })
  receive('{"async-responses":[{"id":"p1","payload":"c2VjcmV0"}],"n":[1]}')
  t.same(readAll(new LogReader(log, everything, ada, false, 0)), ['{"n":[1]}', '{"async-responses":[{"id":"7","payload":"c2VjcmV0"}]}'])
  t.same(readAll(new LogReader(log, everything, bob, false, 0)), ['{"n":[1]}'])
})

t.test('a reader that was left behind is told so once, and goes on with what is there', async t => {
  const { log, receive } = makeIntake(2_000)
  const reader = new LogReader(log, everything, ada, false, 0)
  for (let n = 0; n < 20; n++) receive(`{"n":[${n}]}`)
  const read = readAll(reader)
  t.equal(read[0], 'overflow')
  t.same(read.slice(1), Array.from({ length: log.head - log.first + 1 }, (_, index) => `{"n":[${log.first - 1 + index}]}`))
  t.ok(read.length > 3)
})

t.test('policy counts at the moment of delivery', async t => {
  const { log, receive } = makeIntake()
  let allowed = 'a'
  const reader = new LogReader(log, { seesAllDevices: () => false, maySeeDevice: (_member, device) => device === allowed }, ada, false, 0)
  receive('{"n":[{"ep":"a"},{"ep":"b"}]}')
  receive('{"n":[{"ep":"a"},{"ep":"b"}]}')
  t.equal((reader.next() as { bytes: Buffer }).bytes.toString(), '{"n":[{"ep":"a"}]}')
  allowed = 'b'
  t.equal((reader.next() as { bytes: Buffer }).bytes.toString(), '{"n":[{"ep":"b"}]}')
})
