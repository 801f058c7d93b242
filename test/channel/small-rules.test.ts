import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { makeAnswerBody } from '../../src/channel/answer-body.ts'
import { evictionDelayMs, reconnectDelayMs, refusalDelayMs } from '../../src/channel/backoff.ts'
import { Demand } from '../../src/channel/demand.ts'
import { isAsyncId, readDeviceRequestQuery, replaceAsyncId } from '../../src/channel/device-request-query.ts'
import { classifyPath, readResource } from '../../src/channel/paths.ts'
import { readWaitSeconds } from '../../src/channel/prefer.ts'
import { RecentUids } from '../../src/channel/recent-uids.ts'
import { findStateFile } from '../../src/channel/state-file.ts'
import { chooseSubprotocol } from '../../src/channel/subprotocol.ts'
import { isOurId, makeUpstreamId } from '../../src/channel/upstream-id.ts'

t.test('reads the wait preference', async t => {
  const cases: Array<[header: string | undefined, seconds: number | undefined]> = [
    [undefined, undefined], ['', undefined], ['wait=20', 20], ['wait=20; foo', 20], ['respond-async, wait=5', 5], [' Wait = 7 ', 7], ['wait="9"', 9],
    ['wait=1, wait=2', 1], ['wait=0', undefined], ['wait=-1', undefined], ['wait=1.5', undefined], ['wait', undefined], ['wait=x', undefined],
    ['wait=999', 120], ['return=minimal', undefined], ['await=3', undefined], ['wait=99999999999', undefined]
  ]
  for (const [header, seconds] of cases) t.equal(readWaitSeconds(header), seconds, String(header))
})

t.test('reads the query of a device request', async t => {
  const cases: Array<[query: string, asyncId: string | undefined, ambiguous: boolean, expirySeconds: number | undefined]> = [
    ['', undefined, false, undefined],
    ['async-id=1', '1', false, undefined],
    ['retry=2&async-id=a-b_c&expiry-seconds=60', 'a-b_c', false, 60],
    ['async%2Did=x%2D1', 'x-1', false, undefined],
    ['async-id=1&async-id=2', '1', true, undefined],
    ['async-id=1&async%2Did=2', '1', true, undefined],
    ['async-id', '', false, undefined],
    ['async-id=a+b', 'a b', false, undefined],
    ['async-id=%zz', '%zz', false, undefined],
    ['Async-ID=1', undefined, false, undefined],
    ['expiry-seconds=1e9', undefined, false, undefined]
  ]
  for (const [query, asyncId, ambiguous, expirySeconds] of cases) t.same(readDeviceRequestQuery(query), { asyncId, ambiguous, expirySeconds }, query)
})

t.test('puts another id into the query and leaves every other byte', async () => {
  const parameter = fc.constantFrom('retry=2', 'a', '', 'x=%2B%zz', 'expiry-seconds=60', 'b==', 'async-idx=1')
  fc.assert(fc.property(fc.array(parameter), fc.array(parameter), fc.constantFrom('async-id=1', 'async%2did=1', 'async-id'), (before, after, id) => {
    assert.equal(replaceAsyncId([...before, id, ...after].join('&'), 'NEW'), [...before, 'async-id=NEW', ...after].join('&'))
  }))
  assert.equal(replaceAsyncId('', 'NEW'), 'async-id=NEW')
  assert.equal(replaceAsyncId('retry=1', 'NEW'), 'retry=1&async-id=NEW')
})

t.test('takes ids of the API\'s form, and makes such', async t => {
  for (const id of ['1', 'a-b_C9', 'x'.repeat(40)]) t.ok(isAsyncId(id), id)
  for (const id of ['', 'a b', 'x'.repeat(41), 'ä', 'a/b', 'a\n']) t.notOk(isAsyncId(id), id)
  const ids = Array.from({ length: 1000 }, makeUpstreamId)
  t.ok(ids.every(id => isAsyncId(id) && isOurId(id)))
  t.equal(new Set(ids).size, 1000)
  t.notOk(isOurId('p_short'))
})

t.test('delays grow, end at their limit, and differ between instances', async t => {
  t.same([1, 2, 3, 4, 5, 6, 99].map(n => reconnectDelayMs(n, 0)), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
  t.equal(reconnectDelayMs(1, 0.5), 1500)
  t.same([1, 2, 6, 99].map(n => evictionDelayMs(n, 0)), [30_000, 60_000, 900_000, 900_000])
  t.equal(evictionDelayMs(1, 1), 45_000)
  t.same([refusalDelayMs(0), refusalDelayMs(1)], [300_000, 360_000])
})

t.test('names a subprotocol that carries no secret', async t => {
  const cases: Array<[offered: string[], chosen: string | false]> = [
    [['wss', 'pelion_izp_x'], 'wss'], [['pelion_izp_x', 'wss'], 'wss'], [['pelion_ak_x'], false], [['PELION_x'], false],
    [['izp_x'], false], [['ak_x', 'mqtt'], 'mqtt'], [['rt_x'], false], [['x'.repeat(33)], false], [[], false]
  ]
  for (const [offered, chosen] of cases) t.equal(chooseSubprotocol(new Set(offered)), chosen, offered.join())
})

t.test('tells which paths are this room\'s, however they are written', async t => {
  const cases: Array<[method: string, path: string, own: string | undefined]> = [
    ['GET', '/v2/notification/pull', 'notification'], ['HEAD', '/v2/notification/pull', 'unknown-method'], ['PUT', '/v2/notification/callback/', 'notification'], ['DELETE', '/v2/notification/callback.json', 'notification'], ['GET', '/v2/notification/pull%3Fx', 'notification'],
    ['PATCH', '/v2/notification/websocket', 'unknown-method'], ['GET', '/v2/notification/constructor', undefined], ['GET', '/v2/notification/new-thing', undefined],
    ['POST', '/v2/device-requests/d', 'device-request'], ['GET', '/v2/device-requests/d', undefined],
    ['GET', '/v2/endpoints', undefined], ['GET', '/v2/endpoints/d', undefined], ['GET', '/v2/endpoints/d/', undefined], ['PUT', '/v2/endpoints/d/3/0', 'resource'],
    ['GET', '/v2/subscriptions', 'subscription'], ['HEAD', '/v2/subscriptions', undefined], ['DELETE', '/v2/subscriptions/', 'subscription'],
    ['DELETE', '/v2/subscriptions/d', 'subscription'], ['PUT', '/v2/subscriptions/d/3/0/1', 'subscription'], ['GET', '/v2/subscriptions/d', undefined],
    ['GET', '/v3/devices', undefined], ['PUT', '/V2/Notification/Callback', 'notification'], ['GET', '/_proxy/notifications', undefined]
  ]
  for (const [method, path, own] of cases) t.equal(classifyPath(method, path), own, `${method} ${path}`)
  t.same(readResource('/v2/subscriptions/d/3/0/1'), { device: 'd', path: '3/0/1' })
  t.same(readResource('/v2/subscriptions/d//3/0/'), { device: 'd', path: '3/0' })
  t.same(readResource('/v2/subscriptions'), { device: '', path: '' })
})

t.test('decodes a payload where that says something', async t => {
  const encode = (text: string | Buffer) => Buffer.from(text).toString('base64')
  const cases: Array<[answer: object, decoded: unknown]> = [
    [{ payload: encode('21.5'), ct: 'text/plain' }, '21.5'],
    [{ payload: encode('21.5'), ct: 'text/plain; charset=utf-8' }, '21.5'],
    [{ payload: encode('grün') }, 'grün'],
    [{ payload: encode('{"a":[1]}'), ct: 'application/json' }, { a: [1] }],
    [{ payload: encode('[{"n":"x"}]'), ct: 'application/senml+json' }, [{ n: 'x' }]],
    [{ payload: encode('{broken'), ct: 'application/json' }, '{broken'],
    [{ payload: encode(Buffer.from([0xff, 0xfe])), ct: 'text/plain' }, undefined],
    [{ payload: encode('abc'), ct: 'application/vnd.oma.lwm2m+tlv' }, undefined],
    [{ payload: encode(''), ct: 'text/plain' }, ''],
    [{ error: 'TIMEOUT' }, undefined],
    [{ payload: 5 }, undefined]
  ]
  for (const [answer, decoded] of cases) {
    const text = JSON.stringify({ id: '1', ...answer, 'max-age': 60 })
    t.strictSame(JSON.parse(makeAnswerBody(text)), { ...JSON.parse(text), ...decoded === undefined ? {} : { 'payload-decoded': decoded } }, text)
  }
})

t.test('the channel is wanted while somebody listens and a while longer', async t => {
  const demand = new Demand(false, 100)
  t.notOk(demand.isWanted(0))
  demand.hold()
  demand.hold()
  demand.release(10)
  t.ok(demand.isWanted(1_000_000))
  demand.release(20)
  t.ok(demand.isWanted(119))
  t.notOk(demand.isWanted(120))
  demand.touch(200)
  t.ok(demand.isWanted(299))
  t.ok(new Demand(true, 0).isWanted(0), 'or always')
})

t.test('remembers the newest uids and forgets the oldest', async t => {
  const uids = new RecentUids(3)
  t.same(['a', 'b', 'c', 'd', 'a', 'b', 'd'].map(uid => uids.isRepeated(uid)), [false, false, false, false, true, true, true])
  for (const uid of ['e', 'f', 'g']) uids.isRepeated(uid)
  t.notOk(uids.isRepeated('a'))
})

t.test('the state lies beside the trail', async t => {
  t.equal(findStateFile({ trail: { kind: 'sqlite', path: 'data/trail.db' }, trailJournal: undefined }), 'data/channel.journal')
  t.equal(findStateFile({ trail: { kind: 'postgres', url: '' }, trailJournal: undefined }), 'data/channel.journal')
  t.equal(findStateFile({ trail: { kind: 'postgres', url: '' }, trailJournal: '/var/lib/proxy/journal/' }), '/var/lib/proxy/channel.journal')
})
