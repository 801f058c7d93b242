import t from 'tap'
import { startApi, startRawApi } from '../support/api-server.ts'
import { ask } from '../support/client.ts'
import { makeAccessKey, startProxy } from '../support/proxy.ts'
import { openPeer } from '../support/sockets.ts'
import { waitFor } from '../support/wait-for.ts'

const accessKey = makeAccessKey()

t.test('connections to the API are kept as long as PROXY_UPSTREAM_KEEP_ALIVE says, or the API if it says less', async t => {
  let saying = ''
  const api = await startRawApi(t, socket => { socket.write(`HTTP/1.1 200 OK\r\n${saying}Content-Length: 2\r\n\r\nok`) })
  const proxy = await startProxy(t, { api, accessKey, flags: { '--upstream-warm-connections': '0', '--upstream-keep-alive': '3s' } })
  const idle = async () => waitFor('no connection', async () => (JSON.parse((await ask(proxy.url, '/_proxy/status')).text) as { parts: { upstream: { details: { connections: { open: number } } } } }).parts.upstream.details.connections.open, open => open === 0, 20_000)
  await ask(proxy.url, '/one')
  await ask(proxy.url, '/two')
  t.equal(api.connections, 1, 'one for both')
  const answeredAt = performance.now()
  await idle()
  t.ok(performance.now() - answeredAt > 1000, 'kept for a while')
  await ask(proxy.url, '/three')
  t.equal(api.connections, 2)
  saying = 'Keep-Alive: timeout=1\r\n'
  await ask(proxy.url, '/four')
  await idle()
  await ask(proxy.url, '/five')
  t.equal(api.connections, 3)
})

t.test('an idle client is kept as long as PROXY_CLIENT_KEEP_ALIVE says, and told so', async t => {
  const api = await startApi(t, (_request, response) => { response.end('ok') })
  const proxy = await startProxy(t, { api, accessKey, flags: { '--client-keep-alive': '1s' } })
  const peer = await openPeer({ port: proxy.port, host: '127.0.0.1' }, 'GET /v3/x HTTP/1.1\r\nHost: localhost\r\n\r\n')
  t.match(await peer.until(/\r\n\r\n.*ok/s), /keep-alive: timeout=1\r/i)
  const answeredAt = Date.now()
  const idleMs = await peer.closed - answeredAt
  t.ok(idleMs > 800 && idleMs < 10_000, `closed after ${idleMs} ms`)
})
