import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { WebSocket } from 'ws'
import { findSensor, notify, payloads, startChannelProxy, type ChannelProxy } from '../support/channel-proxy.ts'
import { startRelay } from '../support/relay.ts'
import { askSandbox } from '../support/sandbox-client.ts'
import { waitFor } from '../support/wait-for.ts'

const registrations = (proxy: ChannelProxy) => proxy.api.received.filter(({ method, url }) => method === 'PUT' && url === '/v2/notification/websocket').length

t.test('registers and connects when the first listener comes, with the key in Authorization', async t => {
  const proxy = await startChannelProxy(t, { sandbox: { requireOrigin: true } })
  t.equal(proxy.status().state, 'idle')
  t.equal(proxy.api.received.length, 0)
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  const [put, upgrade] = proxy.api.received
  t.match(put, { method: 'PUT', url: '/v2/notification/websocket' })
  t.match(JSON.parse(String(put?.body)), { serialization: { cfg: { include_uid: true } } })
  t.match(upgrade, { url: '/v2/notification/websocket-connect', upgrade: true, headers: { authorization: `Bearer ${proxy.api.accessKey}` } })
  t.notOk(upgrade?.headers['sec-websocket-protocol'])
  t.notOk(upgrade?.headers['sec-websocket-extensions'], 'no compression')
})

t.test('is made at start when it is always wanted', async t => {
  const proxy = await startChannelProxy(t, { environment: { PROXY_CHANNEL: 'always' } })
  await proxy.ready()
  t.equal(proxy.status()['mode'], 'always')
})

t.test('is kept for a while after the last listener, then closed in good order', async t => {
  const proxy = await startChannelProxy(t, { limits: { lingerMs: 300 } })
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  ada.socket.close()
  await ada.closed
  t.equal(proxy.status().state, 'open')
  await waitFor('the end', () => proxy.status().state, state => state === 'idle')
  t.ok(proxy.api.channel(), 'the API keeps the channel, which queues')
  notify(proxy.api, 'while away')
  const back = proxy.connect('ada')
  t.same(payloads(await back.until('notifications', 1)), ['while away'])
})

for (const code of [undefined, 1012, 1006]) {
  t.test(`connects again after ${code ?? 'an abrupt end'}, and nothing is lost`, async t => {
    const proxy = await startChannelProxy(t)
    const ada = proxy.connect('ada')
    await Promise.all([ada.opened, proxy.ready()])
    notify(proxy.api, '1')
    await ada.until('notifications', 1)
    if (code === 1012) proxy.api.closeWebSockets(code)
    else proxy.api.dropConnections(code === 1006)
    notify(proxy.api, '2')
    t.same(payloads(await ada.until('notifications', 2)), ['1', '2'])
    t.equal(ada.socket.readyState, WebSocket.OPEN, 'its members notice nothing')
    t.equal(registrations(proxy), 1)
  })
}

t.test('a connection from outside is no reason for a war: it waits, and says so', async t => {
  const proxy = await startChannelProxy(t)
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  const foreign = new WebSocket(`${proxy.api.origin.replace('https', 'wss')}/v2/notification/websocket-connect`, { ca: proxy.api.caPem, headers: { authorization: `Bearer ${proxy.api.accessKey}` } })
  t.teardown(() => foreign.terminate())
  await waitFor('the eviction', () => proxy.status(), ({ evictions }) => evictions === 1)
  t.equal(proxy.status().state, 'waiting')
  t.match(proxy.status(), { last_close: { code: 1001 }, last_eviction_at: String, retry_at: String })
  t.match(proxy.log(), 'the access key is used outside the proxy')
  const wait = Date.parse(proxy.status()['retry_at'] as string) - Date.now()
  t.ok(wait > 300, `30 s and more, here a fiftieth of it: ${wait}`)
  t.equal(ada.socket.readyState, WebSocket.OPEN)
  await proxy.ready()
  t.not(foreign.readyState, WebSocket.OPEN)
  t.equal((await ada.closed).code, 1012, 'events may have gone elsewhere')
})

t.test('registers again when the channel was deleted, tells that events may be missing, sets subscriptions again', async t => {
  const proxy = await startChannelProxy(t)
  const { device, path } = findSensor(proxy.api)
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  t.equal((await proxy.ask('ada', 'PUT', `/v2/subscriptions/${device}${path}`)).status, 202)
  t.equal((await proxy.ask('ada', 'PUT', '/v2/subscriptions', [{ 'endpoint-type': 'x' }])).status, 204)
  proxy.api.clearReceived()
  await askSandbox(proxy.api, '/v2/notification/websocket', { method: 'DELETE' })
  t.same(await ada.closed, { code: 1012, reason: 'events may have been lost: connect again to go on' })
  await waitFor('the subscriptions', () => proxy.api.received.filter(({ method, url }) => method === 'PUT' && url.startsWith('/v2/subscriptions')).map(({ url }) => url), urls => urls.length === 2)
  const back = proxy.connect('ada')
  await Promise.all([back.opened, proxy.ready()])
  notify(proxy.api, 'after')
  t.same(payloads(await back.until('notifications', 1)), ['after'])
  t.equal(proxy.status()['gaps'], 1)
})

t.test('waits while the API is busy with a handshake', async t => {
  const proxy = await startChannelProxy(t)
  proxy.api.misbehave({ path: '/v2/notification/websocket-connect', status: 429, headers: { 'Retry-After': '1' }, count: 1 })
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  t.match(proxy.log(), 'busy with another handshake')
  t.equal(registrations(proxy), 1)
})

t.test('asks for the plain form when the API doesn\'t understand what it is asked for', async t => {
  const proxy = await startChannelProxy(t)
  proxy.api.misbehave({ path: '/v2/notification/websocket', method: 'PUT', status: 400, count: 1 })
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  t.same(proxy.api.received.filter(({ method }) => method === 'PUT').map(({ body }) => String(body)).at(-1), '{}')
})

t.test('a message that is larger than allowed is named in the log, with the setting', async t => {
  const proxy = await startChannelProxy(t, { environment: { PROXY_WEBSOCKET_MAX_MESSAGE: '64KiB' } })
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  notify(proxy.api, 'x'.repeat(100_000))
  await waitFor('the log', () => proxy.log(), log => log.includes('PROXY_WEBSOCKET_MAX_MESSAGE'))
})

t.test('a foreign callback is never displaced; everything else goes on', async t => {
  const receiver = createServer(socket => socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')))
  await new Promise<void>(resolve => receiver.listen(0, '127.0.0.1', resolve))
  t.teardown(() => receiver.close())
  const proxy = await startChannelProxy(t)
  const webhook = { url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`, headers: {} }
  t.equal((await askSandbox(proxy.api, '/v2/notification/callback', { method: 'PUT', body: JSON.stringify(webhook) })).status, 204)
  const ada = proxy.connect('ada')
  t.equal((await ada.closed).code, 1011, 'it was let in before anybody knew')
  for (const [method, path] of [['PUT', '/v2/notification/websocket'], ['PUT', '/v2/notification/callback'], ['DELETE', '/v2/notification/callback'], ['GET', '/v2/notification/pull'], ['GET', '/_proxy/notifications']] as const) {
    const { status, headers } = await proxy.ask('ada', method, path, method === 'PUT' ? webhook : undefined)
    t.same([status, headers['x-proxy-error']], [409, 'channel_taken'], `${method} ${path}`)
  }
  t.same(JSON.parse((await proxy.ask('ada', 'GET', '/v2/notification/channel')).text), { delivery_mechanism: 'CALLBACK' })
  t.match(JSON.parse((await proxy.ask('ada', 'GET', '/v2/notification/callback')).text), { url: webhook.url })
  t.equal((await proxy.ask('ada', 'GET', '/v3/devices')).status, 200)
  t.equal(proxy.api.channel()?.mechanism, 'CALLBACK')
  t.equal(proxy.status()['taken_by'], 'CALLBACK')
  await askSandbox(proxy.api, '/v2/notification/callback', { method: 'DELETE' })
  await waitFor('the channel to be had again', () => proxy.ask('ada', 'PUT', '/v2/notification/websocket'), ({ status }) => status === 200 || status === 201)
})

t.test('notices a connection that is half open, and makes another', async t => {
  const proxy = await startChannelProxy(t)
  const relay = await startRelay(proxy.api.port)
  t.teardown(() => relay.close())
  const behind = await startChannelProxy(t, { api: proxy.api, environment: { IZUMA_API_HOST: `https://127.0.0.1:${relay.port}`, PROXY_WEBSOCKET_IDLE_TIMEOUT: '300ms' } })
  const ada = behind.connect('ada')
  await Promise.all([ada.opened, behind.ready()])
  relay.up.timeoutMs = relay.down.timeoutMs = 0
  await waitFor('the end of the dead one', () => behind.status(), ({ last_close: close }) => close !== null, 3_000)
  delete relay.up.timeoutMs
  delete relay.down.timeoutMs
  await behind.ready()
  notify(proxy.api, 'x')
  t.ok(payloads(await ada.until('notifications', 1)).includes('x'))
})

t.test('the trail has every request of the channel, recorded before it was sent', async t => {
  const proxy = await startChannelProxy(t)
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  await ada.close()
  await proxy.close()
  const rows = await proxy.rows(rows => rows.filter(({ kind }) => kind === 'channel').length === 2)
  const [put, dial] = rows.filter(({ kind }) => kind === 'channel')
  t.match(put, { method: 'PUT', path: '/v2/notification/websocket', status: 201, attempts: 1, outcome: 'answered', member: '' })
  t.match(put?.upstream_request_id, /^[0-9a-f]{32}$/)
  t.match(dial, { method: 'GET', path: '/v2/notification/websocket-connect', status: 101, attempts: 1 })
})
