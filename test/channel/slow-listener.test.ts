import { connect } from 'node:net'
import t from 'tap'
import { StallWatch } from '../../src/channel/stall-watch.ts'
import { notify, payloads, startChannelProxy } from '../support/channel-proxy.ts'
import { waitFor } from '../support/wait-for.ts'

t.test('a WebSocket that takes nothing is closed with 1013, and the others don\'t notice', async t => {
  const proxy = await startChannelProxy(t, { limits: { stallMs: 700 } })
  const [fast, slow] = [proxy.connect('ada'), proxy.connect('bob')]
  await Promise.all([fast.opened, slow.opened, proxy.ready()])
  slow.socket.pause()
  const text = 'x'.repeat(100_000)
  for (let n = 0; n < 150; n++) {
    notify(proxy.api, text)
    if (n % 10 === 9) await fast.until('notifications', n + 1)
  }
  await waitFor('the close', () => proxy.status()['stalled_listeners'], count => count === 1, 10_000)
  t.equal(fast.items('notifications').length, 150)
  t.equal(fast.socket.readyState, 1)
  const entry = proxy.entries.find(({ close_code: code }) => code === 1013)
  t.match(entry, { member: 'bob', kind: 'websocket', status: 101 })
})

t.test('a slow reader that lags beyond the memory is closed with 1013, told why, and goes on from there', async t => {
  const proxy = await startChannelProxy(t, { environment: { PROXY_CHANNEL_REPLAY: '1MiB' }, limits: { stallMs: 60_000 } })
  const [fast, slow] = [proxy.connect('ada'), proxy.connect('bob')]
  await Promise.all([fast.opened, slow.opened, proxy.ready()])
  slow.socket.pause()
  const text = 'x'.repeat(100_000)
  for (let n = 0; n < 150; n++) {
    notify(proxy.api, text)
    if (n % 10 === 9) await fast.until('notifications', n + 1)
  }
  slow.socket.resume()
  t.same(await slow.closed, { code: 1013, reason: 'events were lost, the queue overflowed: connect again to go on' })
  const heard = slow.items('notifications').length
  t.ok(heard > 0 && heard < 150, `what was under way arrived: ${heard}`)
  const back = proxy.connect('bob')
  await back.opened
  notify(proxy.api, 'next')
  await waitFor('the next', () => payloads(back.items('notifications')).at(-1), last => last === 'next')
  t.ok(heard + back.items('notifications').length < 151)
})

t.test('a reader that is slow but reads isn\'t stalled', async t => {
  const watch = new StallWatch(100)
  const steps: Array<[waitingBytes: number, nowMs: number, stalled: boolean]> = [
    [0, 0, false], [500, 10, false], [500, 109, false], [400, 110, false], [400, 209, false], [400, 210, true], [400, 300, true],
    [300, 310, false], [0, 500, false], [300, 600, false], [900, 650, false], [900, 749, false], [900, 750, true]
  ]
  for (const [bytes, nowMs, stalled] of steps) t.equal(watch.isStalled(bytes, nowMs), stalled, `${bytes} at ${nowMs}`)
})

t.test('a long message goes out in fragments, none larger than what may be under way', async t => {
  const proxy = await startChannelProxy(t)
  const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.write('GET /v2/notification/websocket-connect HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer bob\r\n\r\n')
  await waitFor('the handshake', () => proxy.status().listeners['websocket'], count => count === 1)
  await proxy.ready()
  notify(proxy.api, 'x'.repeat(1_000_000))
  const bytes = await waitFor('the message', () => Buffer.concat(chunks), ({ length }) => length > 1_300_000)
  const first = bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)
  t.equal(first[0], 0x01, 'text, not the last fragment')
  t.equal(first.readBigUInt64BE(2), 131_072n)
  t.equal(first[10 + 131_072], 0x00, 'continued')
})

t.test('a member that was away too long is told once', async t => {
  const proxy = await startChannelProxy(t, { environment: { PROXY_CHANNEL_REPLAY: '4KiB' } })
  await proxy.ask('bob', 'PUT', '/v2/notification/websocket')
  const ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  for (let n = 0; n < 20; n++) {
    notify(proxy.api, 'x'.repeat(300))
    await ada.until('notifications', n + 1)
  }
  t.equal((await proxy.connect('bob').closed).code, 1013)
  const back = proxy.connect('bob')
  await back.opened
  t.ok((await back.until('notifications', 1)).length < 20)
})

t.test('a peer that doesn\'t answer pings is cut off', async t => {
  const proxy = await startChannelProxy(t, { environment: { PROXY_WEBSOCKET_IDLE_TIMEOUT: '200ms' } })
  const [dead, alive] = [proxy.connect('ada', '', { autoPong: false }), proxy.connect('bob')]
  await Promise.all([dead.opened, alive.opened])
  t.equal((await dead.closed).code, 1006)
  t.equal(alive.socket.readyState, 1)
})

t.test('what a policy makes for one member alone is bounded for all together', async t => {
  const device = '0'.repeat(32)
  const proxy = await startChannelProxy(t, { devices: { bob: [device] }, limits: { ownBytes: 100_000, listenerBytes: 50_000, stallMs: 60_000 } })
  const [ada, bob] = [proxy.connect('ada'), proxy.connect('bob')]
  await Promise.all([ada.opened, bob.opened, proxy.ready()])
  bob.socket.pause()
  const text = 'x'.repeat(200_000)
  for (let n = 0; n < 60; n++) {
    notify(proxy.api, text, device)
    notify(proxy.api, 'not for bob', 'f'.repeat(32))
    await ada.until('notifications', 2 * n + 2)
  }
  await waitFor('the close', () => proxy.status()['stalled_listeners'], count => count === 1)
  t.equal(ada.socket.readyState, 1)
})
