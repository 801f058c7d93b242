import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { convertRemovals, dropRepeated, filterMessage, makeAnswersMessage, mergeMessages, readMessage, replaceAnswerId, splitMessage } from '../../src/channel/message.ts'

t.test('reads objects only', async t => {
  for (const text of ['', '[]', '1', 'null', '"a"', '{', '{"a":1}x', 'nonsense']) t.equal(readMessage(text), undefined, text)
  t.same(readMessage(' {} '), {})
})

t.test('a message without answers passes byte for byte', async t => {
  const text = '{ "notifications" : [ {"ep":"d","payload":"3.10","max-age":1.0} ],"x-new":{"a":1e2} }'
  t.same(splitMessage(text), { broadcast: text, answers: [] })
})

t.test('separates answers from what everyone hears', async t => {
  const cases: Array<[text: string, broadcast: string | null, ids: string[]]> = [
    ['{}', '{}', []],
    ['{"async-responses":[]}', null, []],
    ['{"async-responses":[{"id":"1","status":200}]}', null, ['1']],
    ['{"a":[1.50], "async-responses" : [ {"id":"1"} , {"status":200,"id":"2"} ], "b":{}}', '{"a":[1.50],"b":{}}', ['1', '2']],
    // Neither another way of writing the key nor a repeated one gets an answer to everybody.
    ['{"async\\u002dresponses":[{"id":"1"}],"n":[]}', '{"n":[]}', ['1']],
    ['{"async-responses":[{"id":"1"}],"async-responses":[{"id":"2"}]}', null, ['1', '2']],
    // What has no id can be nobody's; it isn't everybody's.
    ['{"async-responses":[{"status":200},7,null,{"id":5}],"n":[1]}', '{"n":[1]}', []],
    ['{"async-responses":{"id":"1"},"n":[1]}', '{"n":[1]}', []]
  ]
  for (const [text, broadcast, ids] of cases) {
    const parts = splitMessage(text)
    t.equal(parts.broadcast, broadcast, text)
    t.same(parts.answers.map(({ id }) => id), ids, text)
  }
})

t.test('nothing is lost or made up by splitting', async () => {
  const answer = fc.record({ id: fc.string(), status: fc.integer(), payload: fc.base64String(), ct: fc.string() })
  const message = fc.record({ notifications: fc.array(fc.jsonValue()), 'async-responses': fc.array(answer), other: fc.jsonValue() }, { requiredKeys: [] })
  fc.assert(fc.property(message, object => {
    const { broadcast, answers } = splitMessage(JSON.stringify(object))
    const { 'async-responses': expected = [], ...rest } = JSON.parse(JSON.stringify(object)) as typeof object
    assert.equal(broadcast === null ? '{}' : broadcast, JSON.stringify(rest))
    assert.deepEqual(answers.map(({ text }) => text), expected.map(one => JSON.stringify(one)))
  }), { numRuns: 1000 })
})

t.test('gives an answer its asker\'s id and leaves every other byte', async t => {
  t.equal(replaceAnswerId('{"payload":"id","id" : "p_x","error":"\\"id\\":\\"p_x\\"","max-age":60.0}', 'a"b'),
    '{"payload":"id","id" : "a\\"b","error":"\\"id\\":\\"p_x\\"","max-age":60.0}')
  t.equal(replaceAnswerId('{"id":"x","a":{"id":"x"},"id":"x"}', '1'), '{"id":"1","a":{"id":"x"},"id":"1"}')
  t.equal(makeAnswersMessage(['{"id":"1"}', '{"id":"2"}']), '{"async-responses":[{"id":"1"},{"id":"2"}]}')
})

t.test('shows a member the devices it may see', async t => {
  const only = (...devices: string[]) => (device: string) => devices.includes(device)
  const cases: Array<[text: string, maySee: (device: string) => boolean, result: string | null]> = [
    ['{"notifications":[{"ep":"a"},{"ep":"b"}]}', only('a'), '{"notifications":[{"ep":"a"}]}'],
    ['{"notifications":[{"ep":"b"}]}', only('a'), null],
    ['{"notifications":[{"ep":"a","x":1.0}], "reg-updates":[{"ep":"b"}]}', only('a'), '{"notifications":[{"ep":"a","x":1.0}]}'],
    ['{ "notifications":[ {"ep":"a"} ] }', only('a'), '{ "notifications":[ {"ep":"a"} ] }'],
    ['{"de-registrations":["a","b"],"registrations-expired":[{"ep":"b"},{"ep":"a"}]}', only('a'), '{"de-registrations":["a"],"registrations-expired":[{"ep":"a"}]}'],
    // A second "ep" doesn't smuggle another device in: JSON.parse takes the last, as clients do.
    ['{"notifications":[{"ep":"a","ep":"b"}]}', only('a'), null],
    // What can't be told to be a device's is not for whoever may see only some.
    ['{"news":["a"],"other":{"ep":"a"},"more":[{"id":1}],"n":[null,3]}', only('a'), null],
    ['{"news":["a"],"other":{"ep":"a"}}', () => true, '{"news":["a"],"other":{"ep":"a"}}'],
    ['{}', only('a'), '{}']
  ]
  for (const [text, maySee, result] of cases) t.equal(filterMessage(text, maySee), result, text)
})

t.test('writes removals as ids or as objects', async t => {
  const objects = '{"de-registrations":[{"ep":"a","uid":"1"}, {"ep":"b"}],"n":[{"ep":"c"}]}'
  t.equal(convertRemovals(objects, false), '{"de-registrations":["a","b"],"n":[{"ep":"c"}]}')
  t.equal(convertRemovals(objects, true), objects)
  t.equal(convertRemovals('{"registrations-expired":["a"]}', true), '{"registrations-expired":[{"ep":"a"}]}')
  t.equal(convertRemovals('{"registrations-expired":[{"x":1}]}', false), '{"registrations-expired":[{"x":1}]}', 'without a device it is left alone')
})

t.test('drops items whose uid was here before', async t => {
  const seen = new Set(['1'])
  const isRepeated = (uid: string) => seen.has(uid)
  t.equal(dropRepeated('{"n":[{"uid":"1"},{"uid":"2"},{"x":1}]}', isRepeated), '{"n":[{"uid":"2"},{"x":1}]}')
  t.equal(dropRepeated('{"n":[{"uid":"1"}]}', isRepeated), null)
  t.equal(dropRepeated('{ "n":[{"uid":"2"}] }', isRepeated), '{ "n":[{"uid":"2"}] }')
  t.equal(dropRepeated('{"n":["uid"],"m":{"uid":"1"}}', isRepeated), '{"n":["uid"],"m":{"uid":"1"}}')
})

t.test('joins messages into one, items in order under each key', async t => {
  t.same(mergeMessages(['{"n":[1,2],"r":[ 3 ]}', '{"n":[4]}', '{}']), { text: '{"n":[1,2,4],"r":[3]}', count: 3 })
  t.same(mergeMessages(['{"n":[1]}', '{"n":[2],"x":5}', '{"n":[3]}']), { text: '{"n":[1]}', count: 1 })
  t.same(mergeMessages(['{"n":[1]}', '{"n":[2]}', '{"x":{}}']), { text: '{"n":[1,2]}', count: 2 })
  t.same(mergeMessages(['{"x":5}', '{"n":[1]}']), { text: '{"x":5}', count: 1 })
  t.same(mergeMessages([]), { text: '{}', count: 0 })
})

t.test('takes a batch of 20,000 items apart within a second of CPU', async t => {
  const items = Array.from({ length: 20_000 }, (_, index) => ({ ep: `device-${index % 100}`, path: '/3303/0/5700', payload: 'MjEuNQ==', uid: String(index) }))
  const text = JSON.stringify({ notifications: items, 'async-responses': [{ id: 'p', status: 200 }] })
  const before = process.cpuUsage()
  const { broadcast } = splitMessage(text)
  const filtered = filterMessage(broadcast ?? '', device => device === 'device-7')
  const { user, system } = process.cpuUsage(before)
  t.ok(user + system < 1_000_000, `${user + system} µs`)
  t.equal((JSON.parse(filtered ?? '') as { notifications: unknown[] }).notifications.length, 200)
})
