import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { rehearseAnswering } from '../../src/ops/rehearsal.ts'
import { startApi } from '../support/api-server.ts'
import { makeAuthority } from '../support/certificates.ts'
import { makeAccessKey, startProxy } from '../support/proxy.ts'
import { waitFor } from '../support/wait-for.ts'

const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-test-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const { cert, key } = makeAuthority().issue()
writeFileSync(join(folder, 'cert.pem'), cert)
writeFileSync(join(folder, 'key.pem'), key, { mode: 0o600 })

const listeners: Record<string, Record<string, string>> = {
  plain: {},
  'with a name of its own': { '--allowed-hosts': 'proxy.example:9000' },
  'with TLS': { '--tls-cert-file': join(folder, 'cert.pem'), '--tls-key-file': join(folder, 'key.pem') },
  'on a socket': { '--listen': `unix:${join(folder, 'proxy.sock')}` }
}

for (const [name, flags] of Object.entries(listeners)) {
  t.test(`a listener ${name} rehearses one probe, which leaves no record and reaches nobody`, { timeout: 20_000 }, async t => {
    const api = await startApi(t, (_request, response) => { response.end('{}') })
    const proxy = await startProxy(t, { api, accessKey: makeAccessKey(), flags })
    const probes = () => proxy.log().split('\n').filter(line => line.includes('/_proxy/livez'))
    await waitFor('the rehearsal', probes, ({ length }) => length > 0)
    t.match(probes().map(line => JSON.parse(line) as object), [{ level: 'debug', status: 200, outcome: 'own', path: '/_proxy/livez' }])
    t.notMatch(proxy.log(), /"level":"(warn|error)"/)
    t.equal(proxy.app.connections.openSockets, 0)
    t.same(api.seen, [])
    // By its end it has stored all there is.
    await proxy.app.close()
    t.same(await proxy.trail(() => true), [])
  })
}

t.test('a refused probe is an answer, too', { timeout: 20_000 }, async t => {
  const api = await startApi(t, (_request, response) => { response.end('{}') })
  const { app } = await startProxy(t, { api, accessKey: makeAccessKey() })
  t.equal(await rehearseAnswering({ server: app.server, host: 'evil.example', secure: false }), 403)
  t.equal(await rehearseAnswering({ server: app.server, host: 'localhost', secure: false }), 200)
})

t.test('none is begun by a proxy that ended before', { timeout: 20_000 }, async t => {
  const api = await startApi(t, (_request, response) => { response.end('{}') })
  const { app } = await startProxy(t, { api, accessKey: makeAccessKey() })
  let connections = 0
  app.server.on('connection', () => { connections++ })
  await app.close()
  await new Promise(resolve => { setTimeout(resolve, 200) })
  t.equal(connections, 0)
})

t.test('nor by one that serves no name, which would refuse it', { timeout: 20_000 }, async t => {
  const api = await startApi(t, (_request, response) => { response.end('{}') })
  const proxy = await startProxy(t, { api, accessKey: makeAccessKey(), flags: { '--allowed-hosts': '' } })
  await new Promise(resolve => { setTimeout(resolve, 300) })
  t.notMatch(proxy.log(), /livez/)
})
