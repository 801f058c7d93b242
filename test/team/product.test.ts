import { renameSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { WebSocket } from 'ws'
import { ask } from '../support/client.ts'
import { startProduct } from '../support/product.ts'
import { makeToken } from '../support/team-server.ts'
import { waitFor } from '../support/wait-for.ts'

function makeTeamFile (t: Test, members: object) {
  const folder = mkdtempSync(join(tmpdir(), 'team-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'team.json')
  const write = (changed: object): void => {
    writeFileSync(path + '.new', JSON.stringify({ members: changed }))
    renameSync(path + '.new', path)
  }
  write(members)
  return { path, write }
}

test('a member reaches the API with a token in the key\'s place, and the trail and the log say who it was', async t => {
  const alice = makeToken()
  const { path } = makeTeamFile(t, { alice: { tokens: [alice.entry], presets: ['read-only'] } })
  const { app, url, trail, log } = await startProduct(t, { flags: { '--team-file': path } })
  t.equal((await ask(url, '/v3/devices', { headers: alice.headers })).status, 200)
  t.match(await waitFor('the account', () => app.team.list()[0], member => member?.open === 0), { requestsToday: 1, refusedToday: 0 }, 'it reached the API, so it counts')
  const refused = await ask(url, '/v3/devices/1', { method: 'DELETE', headers: alice.headers })
  t.match([refused.status, refused.headers['x-proxy-error']], [403, 'member_forbidden'])
  const unknown = await ask(url, '/v3/devices')
  t.match([unknown.status, unknown.headers['x-proxy-error'], unknown.headers['www-authenticate']], [401, 'member_unknown', 'Bearer'])
  const rows = await trail(rows => rows.length === 3)
  t.match(rows, [
    { member: 'alice', policy_decision: 'allow', outcome: 'answered', attempts: 1 },
    { member: 'alice', policy_decision: 'deny read-only', outcome: 'refused', attempts: 0, error_type: 'member_forbidden' },
    { member: '', policy_decision: '', outcome: 'refused', attempts: 0, error_type: 'member_unknown' }
  ])
  t.match(log(), /"member":"alice"/)
  t.notMatch(log(), alice.token.slice(4, 24))
})

test('a revocation closes an open WebSocket with 1008 within a second, and lets its member in no more', async t => {
  const alice = makeToken()
  const bob = makeToken()
  const team = makeTeamFile(t, { alice: { tokens: [alice.entry] }, bob: { tokens: [bob.entry] } })
  const { app, url } = await startProduct(t, { flags: { '--team-file': team.path, '--channel': 'off' } })
  t.equal((await ask(url, '/v2/notification/websocket', { method: 'PUT', headers: bob.headers })).status, 201)
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v2/notification/websocket-connect`, ['wss', `pelion_${bob.token}`])
  t.teardown(() => socket.terminate())
  await new Promise((resolve, reject) => { socket.on('open', resolve).on('error', reject) })
  t.notMatch(socket.protocol, /pelion_/)
  t.match(app.team.list().find(({ name }) => name === 'bob'), { open: 1, requestsToday: 2 })
  const closed = new Promise<number>(resolve => { socket.on('close', resolve) })
  const startedAt = performance.now()
  team.write({ alice: { tokens: [alice.entry] } })
  t.equal(await closed, 1008)
  const elapsedMs = performance.now() - startedAt
  t.ok(elapsedMs < 1000, `${Math.round(elapsedMs)} ms`)
  t.match(await waitFor('the account', () => app.team.list(), members => members.length === 1), [{ name: 'alice', open: 0 }])
  t.equal((await ask(url, '/v3/devices', { headers: bob.headers })).status, 401)
  t.equal((await ask(url, '/v3/devices', { headers: alice.headers })).status, 200)
})

test('a token in a URL is refused, named as compromised in the log and nowhere repeated', async t => {
  const alice = makeToken()
  const { path } = makeTeamFile(t, { alice: { tokens: [alice.entry] } })
  const { url, log, trail } = await startProduct(t, { flags: { '--team-file': path } })
  const refused = await ask(url, `/v3/devices?access_token=${alice.token}`, { headers: alice.headers })
  t.equal(refused.status, 400)
  const line = await waitFor('the line', () => log().split('\n').find(line => line.includes('it is compromised')), line => line !== undefined)
  t.match(JSON.parse(line ?? ''), { member: 'alice' })
  await trail(rows => rows.length === 1)
  for (const text of [log(), refused.text, JSON.stringify(await trail(rows => rows.length === 1))]) t.notMatch(text, alice.token.slice(4, 24))
})

test('remote shell is refused before the upgrade', async t => {
  const alice = makeToken()
  const { path } = makeTeamFile(t, { alice: { tokens: [alice.entry], allow: ['/**'] } })
  const { url } = await startProduct(t, { flags: { '--team-file': path } })
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v3/devices/0161991d63150000000000010010003c/console`, { headers: alice.headers })
  const status = await new Promise(resolve => { socket.on('unexpected-response', (_request, answer) => resolve(answer.statusCode)).on('error', () => {}) })
  socket.terminate()
  t.equal(status, 403)
})
