import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startApi } from '../support/api-server.ts'
import { ask } from '../support/client.ts'
import { makeAccessKey, startProxy } from '../support/proxy.ts'
import { makeToken } from '../support/team-server.ts'
import { waitFor } from '../support/wait-for.ts'

const oldKey = makeAccessKey('A')
const newKey = makeAccessKey('B')

t.test('a key that changes on disk is in use within a second, and no request under way is lost', async t => {
  const api = await startApi(t, (request, response) => {
    const valid = [`Bearer ${oldKey}`, `Bearer ${newKey}`].includes(request.headers.authorization ?? '')
    setTimeout(() => { response.statusCode = valid ? 200 : 401; response.end(request.headers.authorization?.slice(-1)) }, 30)
  })
  const proxy = await startProxy(t, { api, accessKey: oldKey })
  const answers: Array<{ status: number, text: string }> = []
  const traffic = { going: true }
  const clients = Promise.all(Array.from({ length: 8 }, async () => { while (traffic.going) answers.push(await ask(proxy.url, '/v3/devices')) }))
  await waitFor('answers', () => answers.length, count => count > 20, 30_000)
  writeFileSync(proxy.accessKeyFile + '.new', newKey, { mode: 0o600 })
  renameSync(proxy.accessKeyFile + '.new', proxy.accessKeyFile)
  const changedAt = performance.now()
  await waitFor('the new key', () => answers.at(-1)?.text, text => text === 'B', 30_000)
  t.ok(performance.now() - changedAt < 1500, `took ${Math.round(performance.now() - changedAt)} ms`)
  traffic.going = false
  await clients
  t.ok(answers.every(({ status }) => status === 200), 'none lost')
  t.notMatch(proxy.log(), /AAAAAAAAAAAAAAAA|BBBBBBBBBBBBBBBB/)
})

t.test('a new key that the API refuses is given up for the old one', async t => {
  const api = await startApi(t, (request, response) => { response.statusCode = request.headers.authorization === `Bearer ${oldKey}` ? 200 : 401; response.end() })
  const proxy = await startProxy(t, { api, accessKey: oldKey })
  t.equal((await ask(proxy.url, '/v3/devices')).status, 200)
  writeFileSync(proxy.accessKeyFile, newKey)
  await waitFor('the refusal', async () => (await ask(proxy.url, '/v3/devices')).status, status => status === 401, 3000)
  t.equal((await ask(proxy.url, '/v3/devices')).status, 200, 'the old key again')
  const status = await ask(proxy.url, '/_proxy/status')
  t.match(JSON.parse(status.text), { parts: { 'access-key': { state: 'degraded', ready: true } } })
})

t.test('without a key nothing is forwarded, readyz is red, and both mend themselves when the key appears', async t => {
  const api = await startApi(t, (_request, response) => { response.end('ok') })
  const proxy = await startProxy(t, { api, accessKey: oldKey })
  rmSync(proxy.accessKeyFile)
  proxy.reload()
  const sent = api.seen.length
  writeFileSync(proxy.accessKeyFile, '', { mode: 0o600 })
  const missing = await startProxy(t, { api, accessKey: '' })
  const refused = await ask(missing.url, '/v3/devices')
  t.match(refused, { status: 503, headers: { 'x-proxy-error': 'access_key_unavailable' } })
  t.equal(api.seen.length, sent)
  t.equal((await ask(missing.url, '/_proxy/readyz')).status, 503)
  t.equal((await ask(missing.url, '/_proxy/livez')).status, 200)
  writeFileSync(missing.accessKeyFile, newKey)
  await waitFor('the key', async () => (await ask(missing.url, '/_proxy/readyz')).status, status => status === 200, 3000)
  t.equal((await ask(missing.url, '/v3/devices')).text, 'ok')
  t.match(await missing.trail(rows => rows.length === 2 && rows.every(({ outcome }) => outcome !== 'open')), [{ outcome: 'refused', error_type: 'access_key_unavailable', attempts: 0 }, { outcome: 'answered' }])
})

t.test('key and team in a volume of Kubernetes change under the running proxy by one swapped link', async t => {
  const api = await startApi(t, (request, response) => { response.end(request.headers.authorization?.slice(-1)) })
  const mount = mkdtempSync(join(tmpdir(), 'izuma-proxy-mount-'))
  t.teardown(() => rmSync(mount, { recursive: true, force: true }))
  const [alice, bob] = [makeToken(), makeToken()]
  const publish = (version: string, key: string, tokens: unknown[]) => {
    mkdirSync(join(mount, version))
    writeFileSync(join(mount, version, 'access-key'), key, { mode: 0o644 })
    writeFileSync(join(mount, version, 'team.json'), JSON.stringify({ members: { ops: { tokens } } }), { mode: 0o644 })
    symlinkSync(version, join(mount, '..data_tmp'))
    renameSync(join(mount, '..data_tmp'), join(mount, '..data'))
  }
  publish('..2026_07_01_1', oldKey, [alice.entry])
  for (const name of ['access-key', 'team.json']) symlinkSync(`..data/${name}`, join(mount, name))
  const proxy = await startProxy(t, { api, accessKey: oldKey, flags: { '--access-key-file': join(mount, 'access-key'), '--team-file': join(mount, 'team.json') } })
  t.equal((await ask(proxy.url, '/v3/devices', { headers: alice.headers })).text, 'A')
  publish('..2026_07_01_2', newKey, [bob.entry])
  rmSync(join(mount, '..2026_07_01_1'), { recursive: true })
  const swappedAt = performance.now()
  await waitFor('the new key for the new token', () => ask(proxy.url, '/v3/devices', { headers: bob.headers }), ({ status, text }) => status === 200 && text === 'B')
  t.equal((await ask(proxy.url, '/v3/devices', { headers: alice.headers })).status, 401, 'the old token is worth nothing any more')
  t.ok(performance.now() - swappedAt < 2000, `took ${Math.round(performance.now() - swappedAt)} ms`)
})
