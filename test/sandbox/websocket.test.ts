import { test } from 'tap'
import { setUpSandbox } from '../support/sandbox-client.ts'
import { listen } from '../support/sandbox-socket.ts'
import { waitFor } from '../support/wait-for.ts'

const channel = '/v2/notification/websocket'
const registration = (ep: string) => ({ kind: 'registrations' as const, item: { ep } })

test('registers a channel once, and shows what it has', async t => {
  const { ask } = await setUpSandbox(t)
  t.match(await ask(channel), { status: 404, json: { type: 'not_found' } })
  t.match(await ask('/v2/notification/channel'), { status: 404 })
  t.match(await ask(channel, { method: 'DELETE' }), { status: 404 })
  t.match(await ask(channel, { method: 'PUT', body: '{}' }), { status: 201, json: { status: 'unknown', queue_size: -1 } })
  t.match((await ask('/v2/notification/channel')).json, { delivery_mechanism: 'WEB_SOCKET' })
  const second = await ask(channel, { method: 'PUT', body: '{"serialization":{"type":"v2","cfg":{"include_uid":true}}}' })
  t.match(second, { status: 200, json: { serialization: { cfg: { include_uid: false } } } }, 'a second registration has no effect')
  t.match((await ask(channel)).json, { status: 'unknown', queue_size: -1, serialization: { type: 'v2', max_chunk_size: 10000 } })
  t.equal((await ask(channel, { method: 'DELETE' })).status, 204)
  t.equal((await ask(channel)).status, 404)
  t.equal((await ask(channel, { method: 'PUT' })).status, 201, 'without a body too')
})

test('refuses a configuration that the API does not know', async t => {
  const { ask } = await setUpSandbox(t)
  for (const serialization of ['{"type":"v1"}', '{"type":"v2","max_chunk_size":99}', '{"type":"v2","max_chunk_size":"many"}']) {
    t.match(await ask(channel, { method: 'PUT', body: `{"serialization":${serialization}}` }), { status: 400, json: { fields: [{ name: 'serialization' }] } })
  }
})

test('delivers what waited in the queue, then what comes', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  await ask(channel, { method: 'PUT' })
  sandbox.notify(registration('early'))
  t.match(sandbox.channel(), { mechanism: 'WEB_SOCKET', connected: false, queued: 1 })
  const listener = await listen(t, sandbox)
  t.match(listener.requestId, /^[0-9a-f]{32}$/)
  t.match(await listener.until('registrations'), [{ ep: 'early' }])
  sandbox.notify(registration('late'))
  t.match(await listener.until('registrations', 2), [{ ep: 'early' }, { ep: 'late' }])
  t.match(sandbox.channel(), { connected: true, queued: 0 })
})

test('closes with 1011 a socket whose channel was not registered', async t => {
  const { sandbox } = await setUpSandbox(t)
  t.equal(await (await listen(t, sandbox)).closed, 1011)
})

test('accepts a second connection and closes the first with 1001', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  await ask(channel, { method: 'PUT' })
  const first = await listen(t, sandbox)
  const second = await listen(t, sandbox)
  t.equal(await first.closed, 1001)
  sandbox.notify(registration('x'))
  await second.until('registrations')
  t.strictSame(first.messages, [])
})

test('shares one channel among the keys of an application, and not with other applications', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  await ask(channel, { method: 'PUT' })
  const sibling = sandbox.addAccessKey()
  const stranger = sandbox.addAccessKey({ application: 'new' })
  const old = sandbox.addAccessKey({ kind: 'api-key' })
  t.equal((await ask(channel, { key: sibling })).status, 200)
  t.equal((await ask(channel, { key: stranger })).status, 404)
  t.equal((await ask(channel, { key: old })).status, 404)
  const first = await listen(t, sandbox)
  await listen(t, sandbox, { key: sibling })
  t.equal(await first.closed, 1001)
})

test('closes with 1000 when the channel is deleted, and drops its queue', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  await ask(channel, { method: 'PUT' })
  const listener = await listen(t, sandbox)
  await ask(channel, { method: 'DELETE' })
  t.equal(await listener.closed, 1000)
  await ask(channel, { method: 'PUT' })
  t.match(sandbox.channel(), { queued: 0 })
})

test('closes with 1008 when the key is revoked, but not when it is only inactive', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const key = sandbox.addAccessKey()
  await ask(channel, { method: 'PUT' })
  const listener = await listen(t, sandbox, { key })
  sandbox.setAccessKeyStatus(key, 'INACTIVE')
  sandbox.notify(registration('still'))
  await listener.until('registrations')
  await t.rejects(listen(t, sandbox, { key }), { message: 'HTTP 401' })
  sandbox.revokeAccessKey(key)
  t.equal(await listener.closed, 1008)
})

test('closes with the code of a restart, or abruptly', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  await ask(channel, { method: 'PUT' })
  const first = await listen(t, sandbox)
  sandbox.closeWebSockets(1012, 'Restart')
  t.equal(await first.closed, 1012)
  const second = await listen(t, sandbox)
  sandbox.closeWebSockets()
  t.equal(await second.closed, 1006)
  t.equal((await ask(channel)).status, 200, 'the channel lives on')
})

test('takes the key from the subprotocol and never says it back', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  await ask(channel, { method: 'PUT' })
  const withKey = `pelion_${sandbox.accessKey}`
  for (const protocols of [['wss', withKey], [withKey, 'wss']]) {
    const listener = await listen(t, sandbox, { key: null, protocols })
    t.equal(listener.socket.protocol, 'wss')
    listener.socket.close()
    await listener.closed
  }
  await t.rejects(listen(t, sandbox, { key: null, protocols: ['wss', 'pelion_ak_wrong'] }), { message: 'HTTP 401' })
})

test('refuses a handshake without credentials, headers or an upgrade', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { requireOrigin: true })
  const upgrade = { Connection: 'Upgrade', Upgrade: 'websocket' }
  const whole = { ...upgrade, 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==' }
  t.match(await ask('/v2/notification/websocket-connect'), { status: 426 })
  t.match(await ask('/v2/notification/websocket-connect', { headers: upgrade }), { status: 400, json: { message: 'Required header(s) missing.' } })
  t.match(await ask('/v2/notification/websocket-connect', { headers: whole }), { status: 400 }, 'no Origin')
  t.match(await ask('/v2/notification/websocket-connect', { key: null, headers: whole }), { status: 401, headers: { 'x-request-id': /^[0-9a-f]{32}$/ } })
  t.match(await ask('/v2/notification/websocket-connect', { headers: { ...whole, Origin: 'https://localhost', 'Sec-WebSocket-Key': 'short' } }), { status: 400 })
  t.match(await ask('/v3/nowhere', { headers: { ...whole, Origin: 'https://localhost' } }), { status: 404 })
  await t.rejects(listen(t, sandbox, { key: sandbox.addAccessKey({ kind: 'session' }), headers: { Origin: 'https://localhost' } }), { message: 'HTTP 403' })
  t.match((await listen(t, sandbox, { headers: { Origin: 'https://localhost' } })).requestId, /^[0-9a-f]{32}$/, 'one id, of this handshake alone')
})

test('refuses a second handshake with the same key while the first is going on', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { handshakeMs: 200 })
  await ask(channel, { method: 'PUT' })
  const other = sandbox.addAccessKey()
  const results = await Promise.allSettled([listen(t, sandbox), listen(t, sandbox), listen(t, sandbox, { key: other })])
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 2)
  t.ok(results.some(result => result.status === 'rejected' && (result.reason as Error).message === 'HTTP 429'))
})

test('pings, and cuts off who does not answer', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { pingIntervalMs: 50 })
  await ask(channel, { method: 'PUT' })
  const healthy = await listen(t, sandbox)
  let pings = 0
  healthy.socket.on('ping', () => pings++)
  await waitFor('pings', () => pings, count => count >= 3)
  const deaf = await listen(t, sandbox)
  Object.defineProperty(deaf.socket, 'pong', { value: () => {} })
  deaf.socket.pause()
  await waitFor('the cut', () => sandbox.connections().webSockets, count => count === 0)
  t.equal(await healthy.closed, 1001)
})

test('splits into chunks, and adds what the configuration asks for', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const cfg = { deregistrations_as_object: 'true', include_uid: 'true', include_timestamp: 'true', include_original_ep: 'true' }
  await ask(channel, { method: 'PUT', body: JSON.stringify({ serialization: { type: 'v2', max_chunk_size: '100', cfg } }) })
  for (let index = 0; index < 250; index++) sandbox.notify({ kind: 'notifications', item: { ep: String(index) } })
  sandbox.notify({ kind: 'de-registrations', item: { ep: 'gone' }, originalEndpoint: 'mine' })
  const listener = await listen(t, sandbox)
  await listener.until('de-registrations')
  t.strictSame(listener.messages.map(message => message.notifications?.length), [100, 100, 50])
  t.strictSame(listener.items('notifications').map(item => item.ep), Array.from({ length: 250 }, (_, index) => String(index)))
  t.match(listener.items('de-registrations'), [{ ep: 'gone', 'original-ep': 'mine', uid: /^[0-9a-f]{32}$/, timestamp: Number }])
})

test('names lost devices by bare ids unless asked for objects', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  await ask(channel, { method: 'PUT' })
  const listener = await listen(t, sandbox)
  const [lost = '', gone = ''] = [0, 1].map(index => sandbox.devices.at(index)?.id)
  sandbox.events.expire(lost)
  sandbox.events.deregister(gone)
  t.strictSame(await listener.until('de-registrations'), [gone])
  t.strictSame(listener.items('registrations-expired'), [lost])
  t.equal(sandbox.devices.get(lost)?.state, 'deregistered')
})

test('drops the oldest events when the queue is full', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { maxQueueBytes: 1000 })
  await ask(channel, { method: 'PUT' })
  for (let index = 0; index < 100; index++) sandbox.notify({ kind: 'notifications', item: { ep: String(index).padStart(90, '0') } })
  const { queued = 0, dropped = 0 } = sandbox.channel() ?? {}
  t.ok(queued > 5 && queued < 15)
  t.equal(queued + dropped, 100)
  const listener = await listen(t, sandbox)
  t.equal(Number((await listener.until('notifications', queued)).at(-1)?.ep), 99)
})

test('deletes a channel that nobody has been connected to for a day', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { secondMs: 0.002 })
  await ask(channel, { method: 'PUT' })
  await waitFor('the end of the channel', () => sandbox.channel(), found => found === undefined)
})

test('sends every frame of a remote shell back', async t => {
  const { sandbox } = await setUpSandbox(t)
  const id = sandbox.devices.at(0)?.id
  for (const path of [`/v3/devices/${id}/console`, `/v3preview1/devices/${id}/services/127.0.0.1:22/connection`]) {
    const listener = await listen(t, sandbox, { path })
    listener.socket.send('ls -l')
    listener.socket.send(Buffer.from([0, 255]))
    await waitFor('the echo', () => listener.messages.length, count => count === 2)
    t.strictSame(listener.messages, ['ls -l', Buffer.from([0, 255])])
  }
  await t.rejects(listen(t, sandbox, { path: '/v3/devices/none/console' }), { message: 'HTTP 404' })
})
