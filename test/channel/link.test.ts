import { createServer, connect, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { UpstreamSocket } from '../../src/channel/upstream-socket.ts'
import { mintAccessKey } from '../../src/sandbox/index.ts'
import { askSandbox } from '../support/sandbox-client.ts'
import { findSensor, notify, payloads, startChannelProxy, type ChannelProxy } from '../support/channel-proxy.ts'
import { waitFor } from '../support/wait-for.ts'
import { WebSocket } from 'ws'

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
  t.same(await ada.closed, { code: 1012, reason: 'events may have been lost at the API: connect again to go on' })
  await waitFor('the subscriptions', () => proxy.api.received.filter(({ method, url }) => method === 'PUT' && url.startsWith('/v2/subscriptions')).map(({ url }) => url), urls => urls.length === 2)
  const back = proxy.connect('ada')
  await Promise.all([back.opened, proxy.ready()])
  notify(proxy.api, 'after')
  t.same(payloads(await back.until('notifications', 1)), ['after'])
  t.equal(proxy.status()['gaps'], 1)
})

t.test('stops when the key is revoked, until there is another one', async t => {
  const proxy = await startChannelProxy(t)
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  const next = proxy.api.addAccessKey()
  proxy.api.revokeAccessKey(proxy.api.accessKey)
  t.equal((await ada.closed).code, 1011)
  await waitFor('the stop', () => proxy.status().state, state => state === 'refused')
  t.equal((await proxy.ask('ada', 'PUT', '/v2/notification/websocket')).status, 503)
  t.match(await new Promise(resolve => proxy.connect('ada').socket.once('error', resolve)), { message: 'Unexpected server response: 503' })
  const { length } = proxy.api.received
  await new Promise(resolve => setTimeout(resolve, 200))
  t.equal(proxy.api.received.length, length, 'nothing is tried meanwhile')
  const health = proxy.app.health as unknown as { overview (): { parts: Record<string, { ready: boolean }> } }
  t.equal(health.overview().parts['channel']?.ready, false)
  proxy.rotateKey(next)
  await proxy.ready()
})

t.test('changes over to a new key of the application without losing an event, and without a second socket', async t => {
  const proxy = await startChannelProxy(t)
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  let most = 0
  let sent = 0
  const traffic = setInterval(() => {
    notify(proxy.api, String(sent++))
    most = Math.max(most, proxy.api.connections().webSockets)
  }, 2)
  t.teardown(() => clearInterval(traffic))
  const next = proxy.api.addAccessKey()
  proxy.rotateKey(next)
  await waitFor('the new key', () => proxy.api.received.filter(({ upgrade }) => upgrade).at(-1)?.headers['authorization'], header => header === `Bearer ${next}`)
  await proxy.ready()
  clearInterval(traffic)
  t.same(payloads(await ada.until('notifications', sent)), Array.from({ length: sent }, (_, n) => String(n)))
  t.equal(most, 1)
  t.equal(ada.socket.readyState, WebSocket.OPEN)
})

t.test('a new key that the API refuses costs nothing: the socket of the old one stays', async t => {
  const proxy = await startChannelProxy(t)
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  proxy.rotateKey(mintAccessKey(proxy.api.accountId, '0'.repeat(32)))
  await waitFor('the refusal', () => proxy.log(), log => log.includes('does not take the access key for the notification channel'))
  notify(proxy.api, 'still here')
  t.same(payloads(await ada.until('notifications', 1)), ['still here'])
  t.equal(proxy.api.received.filter(({ upgrade }) => upgrade).length, 1)
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

t.test('goes through a forward proxy where one is set, and never past it', async t => {
  const forward = await startForwardProxy(t)
  const proxy = await startChannelProxy(t, { environment: { IZUMA_HTTPS_PROXY: forward.url, PROXY_UPSTREAM_WARM_CONNECTIONS: '0' } })
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  notify(proxy.api, 'x')
  t.same(payloads(await ada.until('notifications', 1)), ['x'])
  t.same(forward.asked, [`127.0.0.1:${proxy.api.port}`, `127.0.0.1:${proxy.api.port}`], 'the registration and the socket')
  t.equal(proxy.api.connections().opened, 2, 'nothing else reached the API')
})

t.test('sends the key to nobody whose certificate isn\'t verified', async t => {
  const forward = await startForwardProxy(t)
  for (const environment of [{}, { IZUMA_HTTPS_PROXY: forward.url }]) {
    const proxy = await startChannelProxy(t, { environment, sandbox: { certificate: { signedBy: 'stranger' } } })
    const errors: Error[] = []
    const ended = await new Promise(resolve => new UpstreamSocket({
      dial: proxy.app.upstream.websocketOptions(),
      pingMs: 1_000,
      handshakeMs: 1_000,
      maxMessageBytes: 1_000,
      receive () {},
      answered () {},
      failed: error => errors.push(error),
      ended: resolve
    }))
    t.same(ended, { type: 'failed' })
    t.match(errors, [{ code: /SELF_SIGNED|UNABLE_TO|CERT_SIGNATURE_FAILURE/ }])
    t.equal(proxy.api.received.length, 0)
  }
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
  const relay = await startFreezer(t, proxy.api.port)
  const behind = await startChannelProxy(t, { api: proxy.api, environment: { IZUMA_API_HOST: `https://127.0.0.1:${relay.port}`, PROXY_WEBSOCKET_IDLE_TIMEOUT: '300ms' } })
  const ada = behind.connect('ada')
  await Promise.all([ada.opened, behind.ready()])
  relay.freeze()
  await waitFor('the end of the dead one', () => behind.status(), ({ last_close: close }) => close !== null, 3_000)
  relay.thaw()
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

/** A TCP relay that can stop passing bytes while its connections stay open. */
async function startFreezer (t: { teardown (work: () => unknown): void }, port: number) {
  const pairs = new Set<[Socket, Socket]>()
  let frozen = false
  const server = createServer(client => {
    const upstream = connect(port, '127.0.0.1')
    const pair: [Socket, Socket] = [client, upstream]
    pairs.add(pair)
    if (!frozen) join(pair)
    for (const socket of pair) socket.on('error', () => {}).on('close', () => { pairs.delete(pair); for (const other of pair) other.destroy() })
  })
  const join = ([a, b]: [Socket, Socket]) => { a.pipe(b); b.pipe(a) }
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const pair of pairs) pair[0].destroy()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    freeze () {
      frozen = true
      for (const [a, b] of pairs) { a.unpipe(b); b.unpipe(a); a.pause(); b.pause() }
    },
    thaw () {
      frozen = false
      for (const pair of pairs) join(pair)
    }
  }
}

/** CONNECT and nothing else. */
async function startForwardProxy (t: { teardown (work: () => unknown): void }) {
  const asked: string[] = []
  const server = createServer(client => {
    client.on('error', () => {}).once('data', head => {
      const target = /^CONNECT (\S+) HTTP/.exec(String(head))?.[1] as string
      asked.push(target)
      const upstream = connect(Number(target.split(':')[1]), '127.0.0.1', () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n')
        client.pipe(upstream).pipe(client)
      })
      upstream.on('error', () => client.destroy())
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}
