import { connect, createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { WebSocket } from 'ws'
import { UpstreamSocket } from '../../src/channel/upstream-socket.ts'
import { mintAccessKey } from '../../src/sandbox/index.ts'
import { notify, payloads, startChannelProxy } from '../support/channel-proxy.ts'
import { waitFor } from '../support/wait-for.ts'

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
