import { test } from 'tap'
import type { Test } from 'tap'
import type { SandboxOptions } from '../../src/sandbox/index.ts'
import { setUpSandbox } from '../support/sandbox-client.ts'
import { listen } from '../support/sandbox-socket.ts'
import { waitFor } from '../support/wait-for.ts'

/** A sandbox with an open channel, and a registered device of a type. */
async function setUp (t: Test, options: SandboxOptions = {}) {
  const { sandbox, ask } = await setUpSandbox(t, { deviceReplyMs: 2, ...options })
  await ask('/v2/notification/websocket', { method: 'PUT' })
  const listener = await listen(t, sandbox)
  const { json: { data: [light] } } = await ask('/v3/devices?state__eq=registered&endpoint_type__eq=street-light')
  const id: string = light.id
  const request = async (query: string, body: unknown, device = id) => await ask(`/v2/device-requests/${device}?${query}`, { method: 'POST', body: JSON.stringify(body) })
  return { sandbox, ask, listener, id, request }
}

const decode = (payload: string): string => Buffer.from(payload, 'base64').toString()
const dimmer = '/3311/0/5851'

test('answers a read on the channel, under the id that the client chose', async t => {
  const { listener, request } = await setUp(t)
  const answer = await request('async-id=my-id_1', { method: 'GET', uri: '/3/0/0' })
  t.match(answer, { status: 202, text: '' })
  const [response] = await listener.until('async-responses')
  t.match(response, { id: 'my-id_1', status: 200, ct: 'text/plain', 'max-age': 0 })
  t.equal(decode(response.payload), 'Lumenta')
})

test('writes, and reads what was written', async t => {
  const { listener, request } = await setUp(t)
  await request('async-id=w', { method: 'PUT', uri: `${dimmer}?k=v`, 'content-type': 'text/plain', 'payload-b64': Buffer.from('42').toString('base64') })
  await request('async-id=r', { method: 'GET', uri: dimmer })
  const [written, read] = await listener.until('async-responses', 2)
  t.match(written, { id: 'w', status: 200 })
  t.equal(decode(read.payload), '42')
})

test('executes, and tells what a device does not do', async t => {
  const { listener, request } = await setUp(t)
  await request('async-id=execute', { method: 'POST', uri: '/3/0/4' })
  await request('async-id=no-write', { method: 'PUT', uri: '/3/0/0' })
  await request('async-id=no-delete', { method: 'DELETE', uri: dimmer })
  t.match(await listener.until('async-responses', 3), [{ id: 'execute', status: 200 }, { id: 'no-write', status: 405 }, { id: 'no-delete', status: 405 }])
})

test('refuses with bare words, as the v2 services do', async t => {
  const { sandbox, ask, id, request } = await setUp(t)
  const get = { method: 'GET', uri: '/3/0/0' }
  const { json: { data: [gone] } } = await ask('/v3/devices?state__eq=deregistered')
  const cases: Array<[query: string, body: unknown, device: string, status: number, word: string]> = [
    ['', get, id, 400, 'MALFORMED_ASYNC_ID'],
    ['async-id=a%20b', get, id, 400, 'MALFORMED_ASYNC_ID'],
    [`async-id=${'a'.repeat(41)}`, get, id, 400, 'MALFORMED_ASYNC_ID'],
    ['async-id=a', { uri: '/3/0/0' }, id, 400, 'MALFORMED_JSON_CONTENT'],
    ['async-id=a', { method: 'PATCH', uri: '/3/0/0' }, id, 400, 'MALFORMED_JSON_CONTENT'],
    ['async-id=a', [], id, 400, 'MALFORMED_JSON_CONTENT'],
    ['async-id=a&retry=11', get, id, 400, 'INVALID_RETRY'],
    ['async-id=a&expiry-seconds=59', get, id, 400, 'INVALID_EXPIRY_SECONDS'],
    ['async-id=a', get, 'none', 404, 'DEVICE_NOT_FOUND'],
    ['async-id=a', get, gone.id, 404, 'DEVICE_NOT_FOUND'],
    ['async-id=a', { method: 'GET', uri: '/9/9/9' }, id, 404, 'URI_PATH_DOES_NOT_EXISTS']
  ]
  for (const [query, body, device, status, word] of cases) {
    t.match(await request(query, body, device), { status, text: word, headers: { 'content-type': /^text\/plain/ } }, `${word} for ${query}`)
  }
  t.equal(sandbox.deviceRequests.queued(id), 0)
})

test('queues for a device that sleeps, twenty at most, and delivers in order when it wakes', async t => {
  const { sandbox, listener, id, request } = await setUp(t)
  sandbox.deviceRequests.setReachability(id, 'asleep')
  for (let index = 0; index < 20; index++) t.equal((await request(`async-id=${index}`, { method: 'GET', uri: '/3/0/0' })).status, 202)
  t.match(await request('async-id=20', { method: 'GET', uri: '/3/0/0' }), { status: 400, text: 'QUEUE_IS_FULL' })
  t.strictSame(listener.items('async-responses'), [])
  sandbox.events.updateRegistration(id)
  const responses = await listener.until('async-responses', 20)
  t.strictSame(responses.map(({ id }) => id), Array.from({ length: 20 }, (_, index) => String(index)))
})

test('discards what expires, and what is queued for a device that leaves', async t => {
  const { sandbox, listener, id, request } = await setUp(t, { secondMs: 1 })
  sandbox.deviceRequests.setReachability(id, 'asleep')
  await request('async-id=short&expiry-seconds=60', { method: 'GET', uri: '/3/0/0' })
  await request('async-id=long&expiry-seconds=2592000', { method: 'GET', uri: '/3/0/0' })
  t.match(await listener.until('async-responses'), [{ id: 'short', status: 429, error: 'REQUEST_EXPIRED' }])
  sandbox.events.deregister(id)
  t.match(await listener.until('async-responses', 2), [{}, { id: 'long', status: 429, error: 'DEVICE_REMOVED_REGISTRATION' }])
})

test('tries a silent device as often as it was told, then gives up', async t => {
  const { sandbox, listener, id, request } = await setUp(t)
  sandbox.deviceRequests.setReachability(id, 'silent')
  await request('async-id=a&retry=2', { method: 'GET', uri: '/3/0/0' })
  t.match(await listener.until('async-responses'), [{ id: 'a', status: 504, error: 'TIMEOUT' }])
  sandbox.deviceRequests.setReachability(id, 'reachable')
  await request('async-id=b', { method: 'GET', uri: '/3/0/0' })
  t.match(await listener.until('async-responses', 2), [{}, { id: 'b', status: 200 }])
})

test('does not reach a suspended device', async t => {
  const { ask, listener, id, request } = await setUp(t)
  await ask(`/v3/devices/${id}/suspend`, { method: 'POST', body: '{}' })
  await request('async-id=a', { method: 'GET', uri: '/3/0/0' })
  t.match(await listener.until('async-responses'), [{ status: 429, error: 'DEVICE_BLOCKED' }])
})

test('answers on the channel of whoever asked', async t => {
  const { sandbox, ask, listener, id } = await setUp(t)
  const key = sandbox.addAccessKey({ application: 'new' })
  await ask('/v2/notification/websocket', { method: 'PUT', key })
  const other = await listen(t, sandbox, { key })
  await ask(`/v2/device-requests/${id}?async-id=theirs`, { key, method: 'POST', body: '{"method":"GET","uri":"/3/0/0"}' })
  t.match(await other.until('async-responses'), [{ id: 'theirs' }])
  t.strictSame(listener.items('async-responses'), [])
})

test('chooses the id itself in the deprecated calls', async t => {
  const { ask, listener, id } = await setUp(t)
  const path = `/v2/endpoints/${id}`
  t.ok((await ask(path)).json.some((resource: { uri: string, obs: boolean }) => resource.uri === dimmer && resource.obs))
  const read = await ask(`${path}/3/0/0`)
  t.match(read, { status: 202, json: { 'async-response-id': /^[0-9a-f-]{36}$/ } })
  const written = await ask(`${path}${dimmer}`, { method: 'PUT', headers: { 'Content-Type': 'text/plain' }, body: '7' })
  const responses = await listener.until('async-responses', 2)
  t.strictSame(responses.map(({ id }) => id), [read.json['async-response-id'], written.json['async-response-id']])
  t.equal((await ask(`${path}/3/0/0?noResp=true`)).status, 204)
  t.equal((await ask(`${path}/3/0/0?cacheOnly=true`)).status, 205)
  t.match(await ask(`${path}/9/9/9`), { status: 404 })
  t.match(await ask('/v2/endpoints/none/3/0/0'), { status: 410 })
  t.match(await ask('/v2/endpoints/none'), { status: 404 })
})

test('does not confuse a queue that is full with the limit of the deprecated calls', async t => {
  const { sandbox, ask, id } = await setUp(t)
  sandbox.deviceRequests.setReachability(id, 'asleep')
  for (let index = 0; index < 20; index++) await ask(`/v2/endpoints/${id}/3/0/0`)
  t.match(await ask(`/v2/endpoints/${id}/3/0/0`), { status: 429, text: 'QUEUE_IS_FULL' })
})

test('says that a device in queue mode takes no unconfirmed requests', async t => {
  const { ask } = await setUp(t)
  const { json: { data: [probe] } } = await ask('/v3/devices?state__eq=registered&endpoint_type__eq=soil-probe')
  t.equal((await ask(`/v2/endpoints/${probe.id}/3/0/0?noResp=true`)).status, 409)
})

test('loses nothing when thirty members ask at once', async t => {
  const { sandbox, listener, request } = await setUp(t, { devices: 200 })
  const devices = Array.from({ length: 200 }, (_, index) => sandbox.devices.at(index)).filter(device => device?.state === 'registered').slice(0, 30)
  await Promise.all(devices.map(async (device, index) => await request(`async-id=${index}`, { method: 'GET', uri: '/3/0/1' }, device?.id)))
  const responses = await waitFor('30 answers', () => listener.items('async-responses'), items => items.length === 30)
  t.equal(new Set(responses.map(({ id }) => id)).size, 30)
})
