import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startSandbox } from '../../src/sandbox/index.ts'
import { runCommand } from '../support/process.ts'

function makeFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-cli-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

t.test('what is typed wrong is named, with the nearest right thing, and exits 2', async t => {
  const cwd = makeFolder(t)
  const cases: Array<[string[], RegExp]> = [
    [['strat'], /no command "strat"; did you mean "start"\?/],
    [['--regoin', 'us-east-1'], /--regoin: no such setting; did you mean --region\?/],
    [['start', '--region', 'mars', '--listen', 'nowhere'], /2 settings are wrong:[^]*--region = "mars"[^]*--listen = "nowhere"/],
    [['start', '--access-key', 'x'], /never a flag/],
    [['wait', '--max', 'soon'], /--max soon: expected a duration/],
    [['run'], /run needs a command/],
    [['demo', '--devices', 'many'], /--devices many: expected a whole number/],
    [['start', '--region'], /--region needs a value/]
  ]
  const results = await Promise.all(cases.map(([words]) => runCommand(words, { cwd })))
  for (const [index, [words, message]] of cases.entries()) {
    t.equal(results[index]?.code, 2, words.join(' '))
    t.match(results[index]?.stderr, message)
  }
})

t.test('help, version and the reference print and exit 0', async t => {
  const cwd = makeFolder(t)
  const [overview, help, version, reference] = await Promise.all([['help'], ['start', '--help'], ['--version'], ['reference']].map(words => runCommand(words, { cwd })))
  t.match(overview, { code: 0, stdout: /demo +try it/ })
  t.match(help, { code: 0, stdout: /--access-key-file +IZUMA_ACCESS_KEY_FILE/ })
  t.match(version, { code: 0, stdout: /^\d+\.\d+\.\d+/ })
  t.match(reference, { code: 0, stdout: /^# Reference/ })
})

t.test('check says what is right, and exits 1 with a way out when something is not', async t => {
  const cwd = makeFolder(t)
  const sandbox = await startSandbox({ devices: 5, quiet: true })
  t.teardown(() => sandbox.close())
  writeFileSync(join(cwd, 'ca.pem'), sandbox.caPem)
  writeFileSync(join(cwd, 'key'), sandbox.accessKey, { mode: 0o600 })
  writeFileSync(join(cwd, 'open-key'), sandbox.accessKey, { mode: 0o644 })
  const common = ['check', '--json', '--listen', '127.0.0.1:0', '--api-host', sandbox.origin]
  const fine = await runCommand([...common, '--ca-file', 'ca.pem', '--access-key-file', 'key'], { cwd })
  t.equal(fine.code, 0, fine.stdout + fine.stderr)
  const { ok, checks } = JSON.parse(fine.stdout) as { ok: boolean, checks: Array<{ name: string, state: string }> }
  t.equal(ok, true)
  t.same(checks.map(({ name }) => name), ['settings', 'key', 'dns', 'tls', 'api', 'clock', 'channel', 'listener', 'team', 'trail'])
  const wrong = await runCommand([...common, '--access-key-file', 'open-key'], { cwd })
  t.equal(wrong.code, 1)
  const failed = (JSON.parse(wrong.stdout) as { checks: Array<{ name: string, state: string, fix?: string }> }).checks.filter(({ state }) => state === 'failed')
  t.match(failed, [{ name: 'key', fix: /0600/ }, { name: 'tls', fix: /IZUMA_CA_FILE/ }])
})

t.test('wait ends as soon as readyz is green, and says why it gave up', async t => {
  const cwd = makeFolder(t)
  let asked = 0
  const server = createServer((_request, response) => { response.statusCode = ++asked < 3 ? 503 : 200; response.end('{"parts":"key"}') })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.close() })
  const listen = `127.0.0.1:${(server.address() as AddressInfo).port}`
  t.equal((await runCommand(['wait', '--listen', listen], { cwd })).code, 0)
  t.equal(asked, 3)
  asked = -1000
  t.match(await runCommand(['wait', '--max', '500ms', '--listen', listen], { cwd }), { code: 1, stderr: /not ready: readyz says 503/ })
})

t.test('run gives a command a proxy of its own, without the key in its environment, and exits with its code', async t => {
  const cwd = makeFolder(t)
  const sandbox = await startSandbox({ devices: 5, quiet: true })
  t.teardown(() => sandbox.close())
  writeFileSync(join(cwd, 'ca.pem'), sandbox.caPem)
  const environment = { IZUMA_ACCESS_KEY: sandbox.accessKey }
  const script = 'const r = await fetch(process.env.API_BASE_URL + "/v3/devices?limit=2", { headers: { Authorization: "Bearer " + process.env.API_TOKEN } }); console.log(r.status, "KEY" in process.env, Object.values(process.env).some(value => value.startsWith("ak_"))); process.exit(7)'
  const result = await runCommand(['run', '--api-host', sandbox.origin, '--ca-file', 'ca.pem', '--', process.execPath, '--input-type=module', '-e', script], { cwd, environment })
  t.match(result, { code: 7, stdout: /200 false false/ }, result.stderr)
})

t.test('the demo shows a refusal, an answer and a removed key, and takes another port when its own is taken', async t => {
  const cwd = makeFolder(t)
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.close() })
  const { port } = server.address() as AddressInfo
  const { code, stdout, stderr } = await runCommand(['demo', '--once', '--devices', '50', '--listen', `127.0.0.1:${port}`], { cwd })
  t.equal(code, 0, stderr)
  t.match(stdout, new RegExp(`Port ${port} is taken, so the demo uses a free one`))
  t.match(stdout, /the API says 401[^]*the API says 200, 2 devices[^]*Authorization: Bearer ak_… \(the key, put there by the proxy\)[^]*saw \/v3\/devices\?limit=2: the key was taken out/)
  t.notMatch(stdout, /ak_[0-9][A-Za-z0-9+/=]{60}/)
})
