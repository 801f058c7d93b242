import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { askSandbox } from '../support/sandbox-client.ts'
import { sendRaw } from '../support/client.ts'
import { findSensor, notify, startChannelProxy } from '../support/channel-proxy.ts'
import { waitFor } from '../support/wait-for.ts'

const handshake = (path: string, ...headers: string[]) =>
  [`GET ${path} HTTP/1.1`, 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Authorization: Bearer ada', ...headers, '', ''].join('\r\n')

t.test('what is shared can\'t be reached by writing its path in another way', async t => {
  const proxy = await startChannelProxy(t)
  const { device } = findSensor(proxy.api)
  const cases: Array<[method: string, path: string, status: number]> = [
    ['PUT', '//v2/notification/callback', 400],
    ['PUT', '/v2//notification/callback', 400],
    ['DELETE', '/v2/notification//websocket', 400],
    ['GET', '//v2/notification/pull', 400],
    ['PUT', '//v2/subscriptions', 400],
    ['DELETE', '/v2//subscriptions', 400],
    ['DELETE', `//v2/subscriptions/${device}`, 400],
    ['PUT', `//v2/subscriptions/${device}/3/0`, 400],
    ['POST', `//v2/device-requests/${device}?async-id=1`, 400],
    ['GET', `//v2/endpoints/${device}/3/0`, 400],
    ['PUT', '/v2/Notification/callback', 400],
    ['HEAD', '/v2/notification/pull', 405],
    ['HEAD', '/v2/notification/websocket', 405],
    ['PATCH', '/v2/notification/websocket', 405],
    ['POST', '/v2/notification/callback', 405]
  ]
  for (const [method, path, status] of cases) {
    t.equal((await proxy.ask('ada', method, path, ['PUT', 'POST'].includes(method) ? [] : undefined)).status, status, `${method} ${path}`)
  }
  const answered = await proxy.ask('ada', 'PUT', '/v2/notific%61tion/callback', { url: 'http://127.0.0.1:9/' })
  t.equal(answered.status, 409, 'percent-encoded it is the same path')
  t.same(proxy.api.received.filter(({ url }) => /notific|subscr|device-req|endpoints/.test(url)), [])
})

t.test('what the proxy doesn\'t know is the API\'s', async t => {
  const proxy = await startChannelProxy(t)
  for (const path of ['/v2/notification/something-new', '/v2/subscriptions/d', '/v3/devices']) await proxy.ask('ada', 'GET', path)
  t.same(proxy.api.received.map(({ url }) => url), ['/v2/notification/something-new', '/v2/subscriptions/d', '/v3/devices'])
})

t.test('switched off, the channel\'s paths are forwarded like any other', async t => {
  const proxy = await startChannelProxy(t, { environment: { PROXY_CHANNEL: 'off' } })
  t.equal((await proxy.ask('ada', 'PUT', '/v2/notification/websocket', {})).status, 201)
  const ada = proxy.connect('ada')
  await ada.opened
  notify(proxy.api, 'x')
  await ada.until('notifications', 1)
  await proxy.ask('ada', 'DELETE', '/v2/notification/websocket')
  t.equal((await ada.closed).code, 1000)
  t.same(proxy.api.received.map(({ method, url }) => `${method} ${url}`), ['PUT /v2/notification/websocket', 'GET /v2/notification/websocket-connect', 'DELETE /v2/notification/websocket'])
  t.equal(proxy.status(), undefined)
})

t.test('a path for WebSockets says so to whoever asks otherwise', async t => {
  const proxy = await startChannelProxy(t)
  const { status, headers } = await proxy.ask('ada', 'GET', '/v2/notification/websocket-connect')
  t.match({ status, headers }, { status: 426, headers: { upgrade: 'websocket', 'x-proxy-error': 'upgrade_required' } })
})

t.test('a handshake that is none is refused, answered and recorded as any request', async t => {
  const proxy = await startChannelProxy(t)
  const path = '/v2/notification/websocket-connect'
  for (const [title, bytes] of [
    ['no key', handshake(path).replace(/Sec-WebSocket-Key.*\r\n/, '')],
    ['a key of the wrong length', handshake(path).replace('dGhlIHNhbXBsZSBub25jZQ==', 'dGhl')],
    ['version 8', handshake(path).replace('Version: 13', 'Version: 8')],
    ['data before the handshake is done', handshake(path) + '\x81\x81\x00\x00\x00\x00x']
  ] as const) {
    const answer = await sendRaw(Number(new URL(proxy.url).port), bytes)
    t.match(answer, /^HTTP\/1\.1 400 /, title)
    t.match(answer.toLowerCase(), 'x-proxy-error: header_invalid', title)
  }
  await waitFor('the entries', () => proxy.entries.length, count => count === 4)
  t.same(proxy.entries.map(({ outcome, status }) => [outcome, status]), Array.from({ length: 4 }, () => ['refused', 400]))
})

t.test('the handshake names no subprotocol that carries a token, and no extension', async t => {
  const proxy = await startChannelProxy(t)
  const token = `pelion_${['izp', '_'].join('')}${'A'.repeat(43)}`
  for (const offered of [`wss, ${token}`, `${token}, wss`]) {
    const answer = await sendRaw(Number(new URL(proxy.url).port), handshake('/v2/notification/websocket-connect', `Sec-WebSocket-Protocol: ${offered}`, 'Sec-WebSocket-Extensions: permessage-deflate'), 200)
    t.match(answer, /^HTTP\/1\.1 101 /)
    t.match(answer, 'Sec-WebSocket-Protocol: wss\r\n')
    t.match(answer, /X-Proxy-Request-ID: [0-9a-f]{32}\r\n/)
    t.notMatch(answer, 'pelion')
    t.notMatch(answer, /extensions/i)
  }
  const alone = await sendRaw(Number(new URL(proxy.url).port), handshake('/v2/notification/websocket-connect', `Sec-WebSocket-Protocol: ${token}`), 200)
  t.match(alone, /^HTTP\/1\.1 101 /)
  t.notMatch(alone, /subprotocol|Sec-WebSocket-Protocol/i)
})

t.test('a client that leaves amid the handshake is recorded, and nothing stays', async t => {
  const proxy = await startChannelProxy(t)
  for (let n = 0; n < 10; n++) {
    const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1')
    socket.on('error', () => {})
    socket.write(handshake('/v2/notification/websocket-connect'), () => socket.resetAndDestroy())
    await once(socket, 'close')
  }
  await waitFor('the entries', () => proxy.entries.filter(({ kind }) => kind === 'websocket').length, count => count >= 1)
  await waitFor('nobody', () => proxy.status().listeners['websocket'], count => count === 0)
})

t.test('a revoked token closes what is open', async t => {
  const proxy = await startChannelProxy(t, { limits: { pollWaitMs: 20_000 } })
  const [ada, bob] = [proxy.connect('ada'), proxy.connect('bob')]
  await Promise.all([ada.opened, bob.opened])
  const poll = proxy.ask('ada', 'GET', '/v2/notification/pull')
  await waitFor('the poll', () => proxy.status().listeners['long_poll'], count => count === 1)
  proxy.revoke('ada')
  t.equal((await ada.closed).code, 1008)
  t.equal((await poll).status, 204)
  t.equal(bob.socket.readyState, 1)
})

t.test('the end of the proxy is told by 1001, and the API\'s channel is kept', async t => {
  const proxy = await startChannelProxy(t)
  const members = Array.from({ length: 20 }, () => proxy.connect('ada'))
  await Promise.all([...members.map(({ opened }) => opened), proxy.ready()])
  const start = performance.now()
  await proxy.close()
  t.ok(performance.now() - start < 3_000)
  t.ok((await Promise.all(members.map(({ closed }) => closed))).every(({ code }) => code === 1001))
  await waitFor('the end of the socket', () => proxy.api.connections().webSockets, count => count === 0)
  t.equal((await askSandbox(proxy.api, '/v2/notification/channel')).status, 200)
  t.equal(proxy.entries.filter(({ kind, close_code: code }) => kind === 'websocket' && code === 1001).length, 20)
})

t.test('no more listen than the proxy takes', async t => {
  const proxy = await startChannelProxy(t, { limits: { listeners: 2, consumersPerMember: 2 } })
  const members = [proxy.connect('ada'), proxy.connect('ada')]
  await Promise.all(members.map(({ opened }) => opened))
  for (const path of ['/v2/notification/pull', '/_proxy/notifications']) t.equal((await proxy.ask('ada', 'GET', path)).status, 429, path)
  t.equal((await proxy.ask('ada', 'PUT', '/v2/notification/websocket?consumer=b')).status, 201)
  t.equal((await proxy.ask('ada', 'PUT', '/v2/notification/websocket?consumer=c')).status, 429)
  t.equal((await proxy.ask('bob', 'PUT', '/v2/notification/websocket?consumer=c')).status, 201)
})

t.test('a callback is refused with the way out, one that isn\'t there isn\'t found', async t => {
  const proxy = await startChannelProxy(t)
  const answer = await proxy.ask('ada', 'PUT', '/v2/notification/callback', { url: 'http://127.0.0.1:9/' })
  t.same([answer.status, answer.headers['x-proxy-error']], [409, 'channel_taken'])
  t.match(JSON.parse(answer.text).message, '/_proxy/notifications')
  for (const method of ['GET', 'DELETE']) t.equal((await proxy.ask('ada', method, '/v2/notification/callback')).status, 404, method)
  t.equal(proxy.api.received.length, 0)
})

t.test('a message from a client is read and dropped, a large one ends the connection', async t => {
  const proxy = await startChannelProxy(t)
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  ada.socket.send('hello')
  notify(proxy.api, 'x')
  await ada.until('notifications', 1)
  ada.socket.send('x'.repeat(100_000))
  t.equal((await ada.closed).code, 1009)
})
