import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startSandbox } from '../../src/sandbox/index.ts'
import { startForwardProxy } from '../support/forward-proxy.ts'
import { makeFolder, runHere } from '../support/terminal.ts'

t.test('check says what is right, and exits 1 with a way out when something is not', async t => {
  const folder = makeFolder(t)
  const sandbox = await startSandbox({ devices: 5, quiet: true })
  t.teardown(() => sandbox.close())
  writeFileSync(join(folder, 'ca.pem'), sandbox.caPem)
  writeFileSync(join(folder, 'key'), sandbox.accessKey, { mode: 0o600 })
  writeFileSync(join(folder, 'open-key'), sandbox.accessKey, { mode: 0o644 })
  const common = ['check', '--json', '--listen', '127.0.0.1:0', '--api-host', sandbox.origin, '--trail', `sqlite:${join(folder, 'trail.db')}`]
  const fine = await runHere([...common, '--ca-file', join(folder, 'ca.pem'), '--access-key-file', join(folder, 'key')])
  t.equal(fine.code, 0, fine.stdout + fine.stderr)
  const { ok, checks } = JSON.parse(fine.stdout) as { ok: boolean, checks: Array<{ name: string, state: string }> }
  t.equal(ok, true)
  t.same(checks.map(({ name }) => name), ['settings', 'key', 'dns', 'tls', 'api', 'clock', 'channel', 'listener', 'team', 'trail', 'fleet'])
  const wrong = await runHere([...common, '--access-key-file', join(folder, 'open-key')])
  t.equal(wrong.code, 1)
  const failed = (JSON.parse(wrong.stdout) as { checks: Array<{ name: string, state: string, fix?: string }> }).checks.filter(({ state }) => state === 'failed')
  t.match(failed, [{ name: 'key', fix: /0600/ }, { name: 'tls', fix: /IZUMA_CA_FILE/ }])
})

t.test('check finds what start would fail over: certificates, the store, a forward proxy', async t => {
  const folder = makeFolder(t)
  const sandbox = await startSandbox({ devices: 5, quiet: true })
  t.teardown(() => sandbox.close())
  writeFileSync(join(folder, 'ca.pem'), sandbox.caPem)
  const key = join(folder, 'key')
  writeFileSync(key, sandbox.accessKey, { mode: 0o600 })
  writeFileSync(join(folder, 'broken.db'), 'this is no database, whatever its name says')
  const forward = await startForwardProxy(t)
  const check = async (...words: string[]) => {
    const { stdout } = await runHere(['check', '--json', '--listen', '127.0.0.1:0', '--api-host', sandbox.origin, '--ca-file', join(folder, 'ca.pem'), '--access-key-file', key, '--trail', `sqlite:${join(folder, 'trail.db')}`, ...words])
    return (JSON.parse(stdout) as { checks: Array<{ name: string, state: string, found: string }> }).checks.filter(({ state }) => state === 'failed' || state === 'warning')
  }
  t.match(await check('--tls-cert-file', key, '--tls-key-file', key), [{ name: 'listener', found: /PROXY_TLS_CERT_FILE=.*key: holds no PEM certificate/ }])
  t.match(await check('--trail', `sqlite:${join(folder, 'broken.db')}`), [{ name: 'trail', found: /not a database/ }])
  t.match(await check('--trail', 'postgres://nobody@127.0.0.1:1/none'), [{ name: 'trail', state: 'warning', found: /ECONNREFUSED/ }])
  writeFileSync(join(folder, 'team.json'), '{ "members": ')
  t.match(await check('--team-file', join(folder, 'team.json')), [{ name: 'team', state: 'failed', found: /is not JSON/ }])
  const apart = await runHere(['check', '--json', '--api-host', sandbox.origin, '--trail', `sqlite:${join(folder, 'trail.db')}`], { environment: { PROXY_REDIS_URL: 'redis://:sesame@127.0.0.1:1' } })
  t.match(JSON.parse(apart.stdout).checks.find(({ name }: { name: string }) => name === 'fleet'), { state: 'failed', found: '127.0.0.1:1: ECONNREFUSED', fix: /PROXY_REDIS_URL/ })
  t.match(await check('--https-proxy', 'http://127.0.0.1:1'), [{ name: 'api', state: 'failed', found: /ECONNREFUSED/ }])
  t.same(await check('--https-proxy', forward.url), [])
  t.equal(forward.tunnels, 1)
  const unheeded = await runHere(['check', '--api-host', sandbox.origin, '--trail', `sqlite:${join(folder, 'trail.db')}`], { environment: { https_proxy: forward.url } })
  t.match(unheeded, { code: 1, stdout: /warn +proxy +https_proxy is set, and not obeyed\n +-> set IZUMA_HTTPS_PROXY/ })
  t.equal(forward.tunnels, 1)
})
