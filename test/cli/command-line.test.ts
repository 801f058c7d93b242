import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { makeAuthority } from '../support/certificates.ts'
import { runCommand } from '../support/process.ts'
import { makeFolder, runHere } from '../support/terminal.ts'

t.test('what is typed wrong is named, with the nearest right thing, and exits 2', async t => {
  const cases: Array<[string[], RegExp]> = [
    [['strat'], /no command "strat"; did you mean "start"\?/],
    [['--regoin', 'us-east-1'], /--regoin: no such setting; did you mean --region\?/],
    [['start', '--region', 'mars', '--listen', 'nowhere'], /2 settings are wrong:[^]*--region = "mars"[^]*--listen = "nowhere"/],
    [['start', '--access-key', 'x'], /never a flag/],
    [['wait', '--max', 'soon'], /--max soon: expected a duration/],
    [['run'], /run needs a command/],
    [['demo', '--devices', 'many'], /--devices many: expected a whole number/],
    [['start', '--region'], /--region needs a value/],
    [['start', 'now'], /start takes no "now"/],
    [['--listen', '127.0.0.1:0', 'check'], /start takes no "check"; the command comes first: izuma-proxy check …/],
    [['get', '/v3/devices', '--limt', '5'], /--limt: no such setting/],
    [['run', 'sh', '-c', 'true'], /run needs -- before the command: izuma-proxy run -- sh …/],
    [['run', '--listen', 'unix:/tmp/x', '--', 'true'], /--listen takes host:port here/],
    [['demo', '--api-host', 'https://api.example'], /demo sets --api-host itself/],
    [['trail', 'constructor'], /there is no "trail constructor"/],
    [['wait', '--tls-cert-file', 'c', '--tls-key-file', 'k', '--tls-client-ca-file', 'a', '--team-file', 't'], /PROXY_HEALTH_LISTEN/]
  ]
  const results = await Promise.all(cases.map(([words]) => runHere(words)))
  for (const [index, [words, message]] of cases.entries()) {
    t.equal(results[index]?.code, 2, words.join(' '))
    t.match(results[index]?.stderr, message)
  }
})

t.test('a .env that cannot be read is an error where settings are needed, and nowhere else', async t => {
  const cwd = makeFolder(t)
  mkdirSync(join(cwd, '.env'))
  const [start, version] = await Promise.all([runCommand(['start'], { cwd }), runCommand(['--version'], { cwd })])
  t.match(start, { code: 2, stderr: /\.env in .* cannot be read \(EISDIR\)/ })
  t.match(version, { code: 0 })
})

t.test('files and addresses that cannot be used end the start with the name of their setting', async t => {
  const folder = makeFolder(t)
  const authority = makeAuthority()
  const { cert, key } = authority.issue()
  writeFileSync(join(folder, 'cert.pem'), cert)
  writeFileSync(join(folder, 'key.pem'), key)
  writeFileSync(join(folder, 'other.pem'), generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }))
  writeFileSync(join(folder, 'none.pem'), 'nothing')
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.close() })
  const taken = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const cases: Array<[string[], RegExp]> = [
    [['--ca-file', 'missing.pem'], /IZUMA_CA_FILE=.*missing\.pem: cannot be read \(ENOENT\)/],
    [['--ca-file', 'none.pem'], /IZUMA_CA_FILE=.*none\.pem: holds no PEM certificate/],
    [['--tls-cert-file', 'key.pem', '--tls-key-file', 'key.pem'], /PROXY_TLS_CERT_FILE=.*key\.pem: holds no PEM certificate/],
    [['--tls-cert-file', 'cert.pem', '--tls-key-file', 'cert.pem'], /PROXY_TLS_KEY_FILE=.*cert\.pem: holds no PEM private key/],
    [['--tls-cert-file', 'cert.pem', '--tls-key-file', 'other.pem'], /PROXY_TLS_KEY_FILE=.*other\.pem: is not the key of the certificate in PROXY_TLS_CERT_FILE/],
    [['--listen', taken], /PROXY_LISTEN=127\.0\.0\.1:\d+ is taken, perhaps by a proxy that runs already/]
  ]
  for (const [words, message] of cases) {
    const { code, stderr } = await runHere(['start', '--listen', '127.0.0.1:0', '--trail', `sqlite:${join(folder, 'trail.db')}`, ...words.map(word => word.endsWith('.pem') ? join(folder, word) : word)])
    t.equal(code, 1, words.join(' '))
    t.match(stderr, message)
  }
})

t.test('help, version and the reference print and exit 0', async t => {
  const [overview, help, version, reference] = await Promise.all([['help'], ['start', '--help'], ['--version'], ['reference']].map(words => runHere(words)))
  t.match(overview, { code: 0, stdout: /demo +try it/ })
  t.match(help, { code: 0, stdout: /--access-key-file +IZUMA_ACCESS_KEY_FILE/ })
  t.match(version, { code: 0, stdout: /^\d+\.\d+\.\d+/ })
  t.match(reference, { code: 0, stdout: /^# Reference/ })
})

t.test('wait ends as soon as readyz is green, and says why it gave up', async t => {
  let asked = 0
  const hosts = new Set<string | undefined>()
  const server = createServer((request, response) => { hosts.add(request.headers.host); response.statusCode = ++asked < 3 ? 503 : 200; response.end('{"parts":"key"}') })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.close() })
  const listen = `127.0.0.1:${(server.address() as AddressInfo).port}`
  t.equal((await runHere(['wait', '--listen', listen, '--allowed-hosts', 'proxy.example'])).code, 0)
  t.equal(asked, 3)
  t.same(hosts, new Set(['proxy.example']))
  asked = -1000
  t.match(await runHere(['wait', '--max', '500ms', '--listen', listen]), { code: 1, stderr: /not ready: readyz says 503/ })
})
