import { X509Certificate } from 'node:crypto'
import { test } from 'tap'
import { startSandbox } from '../../src/sandbox/index.ts'
import { askSandbox, setUpSandbox } from '../support/sandbox-client.ts'

test('answers over verified TLS with its own key', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  t.match(sandbox.origin, /^https:\/\/127\.0\.0\.1:\d+$/)
  t.match(sandbox.accessKey, /^ak_2[A-Za-z0-9+/]{43}[0-9a-f]{32}[A-Za-z0-9]{32}$/)
  t.equal(sandbox.accessKey.length, 111)
  const answer = await ask('/v3/accounts/me')
  t.equal(answer.status, 200)
  t.match(answer.json, { object: 'account', id: sandbox.accountId, status: 'ACTIVE' })
})

test('gives every answer a request id that begins with the time', async t => {
  const { ask } = await setUpSandbox(t)
  const before = Date.now()
  const ids = [await ask('/v3/accounts/me'), await ask('/v3/none'), await ask('/v3/devices', { key: null })].map(({ headers }) => String(headers['x-request-id']))
  for (const id of ids) {
    t.match(id, /^[0-9a-f]{32}$/)
    const ms = parseInt(id.slice(0, 12), 16)
    t.ok(ms >= before && ms <= Date.now())
  }
  t.equal(new Set(ids).size, 3)
})

test('comes back on the same port with the same certificate', async t => {
  const first = await startSandbox({ quiet: true })
  const { tls, port, accessKey } = first
  await first.close()
  const { sandbox } = await setUpSandbox(t, { tls, port, accessKeys: [accessKey] })
  t.equal(sandbox.caPem, tls.caPem)
  t.equal((await askSandbox(sandbox, '/v3/accounts/me', { key: accessKey })).status, 200)
})

test('serves the certificate that a test asks for', async t => {
  const expired = await setUpSandbox(t, { certificate: { notAfter: new Date(Date.now() - 1000) } })
  await t.rejects(expired.ask('/v3/accounts/me'), { code: 'CERT_HAS_EXPIRED' })
  const early = await setUpSandbox(t, { certificate: { notBefore: new Date(Date.now() + 60_000) } })
  await t.rejects(early.ask('/v3/accounts/me'), { code: 'CERT_NOT_YET_VALID' })
  const other = await setUpSandbox(t, { certificate: { names: ['elsewhere.example'] } })
  await t.rejects(other.ask('/v3/accounts/me'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  const stranger = await setUpSandbox(t, { certificate: { signedBy: 'stranger' } })
  await t.rejects(stranger.ask('/v3/accounts/me'), { code: /UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/ })
  const itself = await setUpSandbox(t, { certificate: { signedBy: 'itself' } })
  await t.rejects(itself.ask('/v3/accounts/me'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  for (const { sandbox } of [expired, early, other, stranger, itself]) t.equal(sandbox.received.length, 0)
})

test('makes a certificate for the names it is used by', async t => {
  const { sandbox } = await setUpSandbox(t)
  const certificate = new X509Certificate(sandbox.tls.certPem)
  for (const address of ['127.0.0.1', '::1']) t.equal(certificate.checkIP(address), address)
  t.equal(certificate.checkHost('localhost'), 'localhost')
  t.ok(certificate.verify(new X509Certificate(sandbox.caPem).publicKey))
  t.equal(new X509Certificate(sandbox.caPem).ca, true)
  t.equal(certificate.ca, false)
})

test('records what reached the wire, byte for byte', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { echoUnknown: true })
  await ask('/v9/Some%2fthing//x?filter=a%3D%2527b&empty=&%zz', { method: 'PUT', headers: { 'X-MiXed': 'Case', 'X-Two': ['1', '2'] }, body: 'hello' })
  const [request] = sandbox.received
  t.match(request, { number: 1, method: 'PUT', url: '/v9/Some%2fthing//x?filter=a%3D%2527b&empty=&%zz', bodyLength: 5, complete: true, status: 200, aborted: false, socket: 1 })
  t.equal(request?.bodySha256, '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824')
  t.equal(request?.headers['x-two'], '1, 2')
  const names = request?.rawHeaders.filter((_, index) => index % 2 === 0) ?? []
  t.ok(names.includes('X-MiXed'))
  t.equal(names.filter(name => name === 'X-Two').length, 2)
})

test('echoes unknown paths without the credentials', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { echoUnknown: true })
  const answer = await ask('/v3/anything/at/all?x=1', { method: 'POST', body: '{}' })
  t.equal(answer.status, 200)
  t.match(answer.json, { object: 'echo', method: 'POST', url: '/v3/anything/at/all?x=1', body: { length: 2 } })
  t.notMatch(answer.text, sandbox.accessKey)
  t.equal((await ask('/v3/anything', { key: null })).status, 401, 'but not to just anybody')
})
