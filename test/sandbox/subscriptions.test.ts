import { test } from 'tap'
import type { Test } from 'tap'
import { readPresubscriptions, Subscriptions } from '../../src/sandbox/subscriptions.ts'
import { setUpSandbox } from '../support/sandbox-client.ts'
import { listen } from '../support/sandbox-socket.ts'

async function setUp (t: Test) {
  const { sandbox, ask } = await setUpSandbox(t, { deviceReplyMs: 1 })
  await ask('/v2/notification/websocket', { method: 'PUT' })
  const listener = await listen(t, sandbox)
  const { json: { data: [light] } } = await ask('/v3/devices?state__eq=registered&endpoint_type__eq=street-light')
  return { sandbox, ask, listener, id: light.id as string }
}

const decode = (payload: string): string => Buffer.from(payload, 'base64').toString()

test('subscribes to a resource, hears of it, and unsubscribes', async t => {
  const { sandbox, ask, listener, id } = await setUp(t)
  const path = `/v2/subscriptions/${id}/3311/0/5850`
  t.equal((await ask(path)).status, 404)
  const subscribed = await ask(path, { method: 'PUT' })
  t.equal(subscribed.status, 202)
  t.match(await listener.until('async-responses'), [{ id: subscribed.json['async-response-id'], status: 200 }])
  t.equal((await ask(path)).status, 200)
  t.equal((await ask(path, { method: 'PUT' })).status, 200, 'nothing new')
  t.match(await ask(`/v2/subscriptions/${id}`), { status: 200, text: '/3311/0/5850\n', headers: { 'content-type': 'text/uri-list' } })
  sandbox.events.report(id, '/3311/0/5850', '1')
  sandbox.events.report(id, '/3311/0/5851', '9')
  const [notification] = await listener.until('notifications')
  t.match(notification, { ep: id, path: '/3311/0/5850', ct: 'text/plain', 'max-age': 60 })
  t.equal(decode(notification.payload), '1')
  t.equal((await ask(path, { method: 'DELETE' })).status, 204)
  t.equal((await ask(`/v2/subscriptions/${id}`)).status, 404)
  t.equal(listener.items('notifications').length, 1)
})

test('subscribes to all below an object, with the doubled slash of vendor samples too', async t => {
  const { sandbox, ask, listener, id } = await setUp(t)
  t.equal((await ask(`/v2/subscriptions/${id}//3311/0`, { method: 'PUT' })).status, 202)
  sandbox.events.report(id, '/3311/0/5851')
  t.match(await listener.until('notifications'), [{ path: '/3311/0/5851' }])
  t.equal((await ask(`/v2/subscriptions/${id}`, { method: 'DELETE' })).status, 204)
  t.equal((await ask(`/v2/subscriptions/${id}/3311/0`)).status, 404)
})

test('refuses what is not there, or not observable', async t => {
  const { ask, id } = await setUp(t)
  t.match(await ask(`/v2/subscriptions/${id}/9/9/9`, { method: 'PUT' }), { status: 404, text: 'URI_PATH_DOES_NOT_EXISTS' })
  t.match(await ask(`/v2/subscriptions/${id}/3/0/0`, { method: 'PUT' }), { status: 404, text: 'URI_PATH_DOES_NOT_EXISTS' })
  t.match(await ask('/v2/subscriptions/none/3/0/0', { method: 'PUT' }), { status: 404, text: 'DEVICE_NOT_FOUND' })
})

test('ends manual subscriptions when the device registers anew, not the rules', async t => {
  const { sandbox, ask, listener, id } = await setUp(t)
  await ask(`/v2/subscriptions/${id}/3311/0/5850`, { method: 'PUT' })
  sandbox.events.updateRegistration(id)
  t.equal((await ask(`/v2/subscriptions/${id}`)).status, 200)
  sandbox.events.register(id)
  t.equal((await ask(`/v2/subscriptions/${id}`)).status, 404)
  await ask('/v2/subscriptions', { method: 'PUT', body: '[{"endpoint-type":"street-light","resource-path":["/3311/*"]}]' })
  sandbox.events.register(id)
  sandbox.events.report(id, '/3311/0/5850')
  t.match(await listener.until('notifications'), [{ path: '/3311/0/5850' }])
  t.match(listener.items('registrations')[0], { ep: id, ept: 'street-light', q: false, resources: [{}] })
  t.match(listener.items('reg-updates'), [{ ep: id }])
})

test('replaces all rules at once, and clears them', async t => {
  const { sandbox, ask } = await setUp(t)
  t.strictSame((await ask('/v2/subscriptions')).json, [])
  t.equal((await ask('/v2/subscriptions', { method: 'PUT', body: '[{"endpoint-name":"a"},{"endpoint-type":"b"}]' })).status, 204)
  t.equal((await ask('/v2/subscriptions', { method: 'PUT', body: '[{"endpoint-name":"c*"}]' })).status, 204)
  t.strictSame((await ask('/v2/subscriptions')).json, [{ 'endpoint-name': 'c*' }])
  t.strictSame((await ask('/v2/subscriptions', { key: sandbox.addAccessKey() })).json, [{ 'endpoint-name': 'c*' }], 'shared within the application')
  t.strictSame((await ask('/v2/subscriptions', { key: sandbox.addAccessKey({ application: 'new' }) })).json, [])
  t.equal((await ask('/v2/subscriptions', { method: 'PUT', body: '{}' })).status, 400)
  t.equal((await ask('/v2/subscriptions', { method: 'DELETE' })).status, 204)
  t.strictSame((await ask('/v2/subscriptions')).json, [])
})

const device = { object: 'device', id: 'd1', name: '', endpoint_name: 'node-001', endpoint_type: 'Light', state: 'registered', created_at: '', updated_at: '' } as const
const rules: Array<[rule: object, path: string, covered: boolean]> = [
  [{ 'endpoint-name': 'node-001', 'resource-path': ['/dev'] }, '/dev', true],
  [{ 'endpoint-name': 'node-001', 'resource-path': ['/dev'] }, '/dev/temp', true],
  [{ 'endpoint-name': 'node-001', 'resource-path': ['/dev'] }, '/device', false],
  [{ 'endpoint-name': 'd1' }, '/x', true],
  [{ 'endpoint-name': 'd2' }, '/x', false],
  [{ 'endpoint-name': 'node*' }, '/x', true],
  [{ 'endpoint-type': 'Light', 'resource-path': ['/sen/*'] }, '/sen/a', true],
  [{ 'endpoint-type': 'Light', 'resource-path': ['/sen/*'] }, '/other', false],
  [{ 'endpoint-type': 'Sensor' }, '/sen/a', false],
  [{ 'resource-path': ['/dev/temp', '/dev/hum'] }, '/dev/hum', true],
  [{}, '/anything', true]
]
for (const [rule, path, covered] of rules) {
  test(`a rule ${JSON.stringify(rule)} ${covered ? 'covers' : 'does not cover'} ${path}`, async t => {
    const subscriptions = new Subscriptions()
    subscriptions.presubscriptions = [rule]
    t.equal(subscriptions.covers(device, path), covered)
  })
}

test('holds rules to the limits of the API', async t => {
  const paths = (count: number): string[] => Array.from({ length: count }, (_, index) => `/${index}`)
  t.ok(readPresubscriptions(Array.from({ length: 1024 }, () => ({}))))
  t.ok(readPresubscriptions([{ 'endpoint-name': 'n'.repeat(64), 'resource-path': paths(256) }]))
  for (const wrong of [null, {}, [1], Array.from({ length: 1025 }, () => ({})), [{ 'endpoint-name': 'n'.repeat(65) }], [{ 'endpoint-type': 7 }], [{ 'resource-path': paths(257) }], [{ 'resource-path': ['/'.repeat(129)] }], [{ 'resource-path': '/x' }]]) {
    t.equal(readPresubscriptions(wrong), undefined)
  }
})
