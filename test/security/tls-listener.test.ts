import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { startAttacked } from '../support/attacked-proxy.ts'
import { makeAuthority } from '../support/certificates.ts'
import { watchSocket } from '../support/sockets.ts'

async function startTls (t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-tls-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const authority = makeAuthority()
  const { cert, key } = authority.issue()
  writeFileSync(join(folder, 'cert.pem'), String(cert))
  writeFileSync(join(folder, 'key.pem'), String(key), { mode: 0o600 })
  const attacked = await startAttacked(t, { '--tls-cert-file': join(folder, 'cert.pem'), '--tls-key-file': join(folder, 'key.pem'), '--client-headers-timeout': '300ms' })
  return { ...attacked, ca: authority.ca }
}

// The place of a connection is taken before a single byte of HTTP: Node's own limit for a handshake is two minutes.
t.test('a TLS listener cuts off who does not shake hands, and who does and then says nothing', async t => {
  const { proxy, ca } = await startTls(t)
  const start = Date.now()
  const peers = [
    watchSocket(connect(proxy.port, '127.0.0.1')),
    watchSocket(connect(proxy.port, '127.0.0.1', function (this: Socket) { this.write('\x16\x03\x01') })),
    watchSocket(connectTls({ port: proxy.port, host: '127.0.0.1', ca, checkServerIdentity: () => undefined }))
  ]
  for (const peer of peers) t.ok(await peer.closed - start < 3000)
})

t.test('what is no TLS gets no answer, and others are served', async t => {
  const { proxy, ca, api } = await startTls(t)
  const plain = watchSocket(connect(proxy.port, '127.0.0.1', function (this: Socket) { this.write('GET /v3/devices HTTP/1.1\r\nHost: localhost\r\n\r\n') }))
  await plain.closed
  t.notMatch(plain.received(), /HTTP\/1\.1 2/)
  const secure = watchSocket(connectTls({ port: proxy.port, host: '127.0.0.1', ca, checkServerIdentity: () => undefined }, function (this: TLSSocket) { this.write('GET /v3/devices HTTP/1.1\r\nHost: localhost\r\n\r\n') }))
  t.match(await secure.until(/list/), /^HTTP\/1\.1 200 /)
  secure.socket.destroy()
  t.equal(api.seen.length, 1)
})
