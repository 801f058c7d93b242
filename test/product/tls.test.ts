import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { createServer as createTls, type TlsOptions } from 'node:tls'
import t, { type Test } from 'tap'
import { loadSettings, SettingsError } from '../../src/config/load.ts'
import { startApi } from '../support/api-server.ts'
import { ask } from '../support/client.ts'
import { makeAuthority } from '../support/certificates.ts'
import { makeAccessKey, startProxy } from '../support/proxy.ts'

// The key is worth nothing if it can be had by standing in the way: reply-from's own default doesn't verify (S1).

const authority = makeAuthority()
const stranger = makeAuthority('somebody else')
const good = authority.issue()
const accessKey = makeAccessKey()

/** A TLS peer that writes down every byte of application data it is given. */
async function startRecorder (t: Test, options: TlsOptions) {
  const recorder = { port: 0, received: '' }
  const server = createTls(options, socket => {
    socket.on('error', () => {}).on('data', (chunk: Buffer) => { recorder.received += chunk.toString('latin1'); socket.destroy() })
  }).on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.close() })
  recorder.port = (server.address() as AddressInfo).port
  return recorder
}

const badPeers: Record<string, TlsOptions> = {
  'an expired certificate': authority.issue({ validFromDays: -10, validForDays: 5 }),
  'a certificate that is not valid yet': authority.issue({ validFromDays: 5 }),
  'a certificate for another host': authority.issue({ commonName: 'other.example', altNames: ['other.example'] }),
  'an unknown authority': stranger.issue(),
  'a certificate that signed itself': { cert: stranger.ca, key: stranger.issue().key },
  'TLS 1.1 at most': { ...good, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }
}

for (const [what, options] of Object.entries(badPeers)) {
  t.test(`refuses ${what}: 502, and not a byte of the request is sent`, async t => {
    const recorder = await startRecorder(t, options)
    const proxy = await startProxy(t, { api: { origin: `https://127.0.0.1:${recorder.port}`, ca: authority.ca }, accessKey })
    const plain = await ask(proxy.url, '/v3/devices')
    t.equal(plain.status, 502)
    t.equal(plain.headers['x-proxy-error'], 'upstream_tls_failed')
    const upgraded = await ask(proxy.url, '/v3/devices/1/x', { headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version': '13' } })
    t.equal(upgraded.status, 502)
    t.equal(upgraded.headers['x-proxy-error'], 'upstream_tls_failed')
    t.equal(recorder.received, '')
    const rows = await proxy.trail(rows => rows.length === 2 && rows.every(row => row.outcome !== 'open'))
    t.same(rows.map(row => [row.outcome, row.error_type, row.attempts]), [['failed', 'upstream_tls_failed', 0], ['failed', 'upstream_tls_failed', 0]])
    t.notMatch(plain.text, /expired|127\.0\.0\.1|CERT_|altname/i, 'the cause is for the log')
  })
}

t.test('refuses plain HTTP where TLS belongs, without showing the key', async t => {
  let received = ''
  const server = createServer(socket => {
    socket.on('error', () => {}).on('data', (chunk: Buffer) => { received += chunk.toString('latin1'); socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n') })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.close() })
  const proxy = await startProxy(t, { api: { origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, ca: authority.ca }, accessKey })
  const answer = await ask(proxy.url, '/v3/devices')
  t.equal(answer.status, 502)
  t.equal(answer.headers['x-proxy-error'], 'upstream_tls_failed')
  t.notOk(received.includes('Bearer') || received.includes(accessKey) || received.includes('GET '))
})

t.test('is satisfied by a certificate it was told to trust', async t => {
  const server = createTls(good, socket => {
    socket.on('error', () => {}).once('data', () => socket.end('HTTP/1.1 204 No Content\r\n\r\n'))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.close() })
  const proxy = await startProxy(t, { api: { origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, ca: authority.ca }, accessKey })
  t.equal((await ask(proxy.url, '/v3/devices')).status, 204)
})

t.test('a forward proxy that the environment names gets nothing, and the log says so', async t => {
  let asked = 0
  const stranger = createServer(socket => { asked++; socket.destroy() })
  await new Promise<void>(resolve => stranger.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { stranger.close() })
  const api = await startApi(t, (_request, response) => { response.end('ok') })
  const environment = { HTTPS_PROXY: `http://127.0.0.1:${(stranger.address() as AddressInfo).port}` }
  const proxy = await startProxy(t, { api, accessKey, environment })
  t.equal((await ask(proxy.url, '/v3/devices')).text, 'ok')
  t.equal(asked, 0)
  t.match(proxy.log(), /"variable":"HTTPS_PROXY","msg":"a forward proxy from the environment is not obeyed/)
})

t.test('does not start with NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment', async t => {
  const load = () => loadSettings({ flags: {}, environment: { NODE_TLS_REJECT_UNAUTHORIZED: '0' }, dotenv: {} })
  t.throws(load, SettingsError)
  t.throws(load, /unset it/)
})
