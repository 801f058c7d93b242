import { test } from 'tap'
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyRequest } from 'fastify'
import type { Member } from '../../src/decorations.ts'
import { ask } from '../support/client.ts'
import { makeToken, startTeamServer } from '../support/team-server.ts'
import { waitFor } from '../support/wait-for.ts'

const withinASecond = 1000

test('a new member is let in and a revoked one kept out within a second, without a restart', async t => {
  const alice = makeToken()
  const bob = makeToken()
  const server = await startTeamServer(t, { team: { members: { alice: { tokens: [alice.entry] } } } })
  const status = async ({ headers }: typeof alice) => (await ask(server.url, '/', { headers })).status
  t.same([await status(alice), await status(bob)], [200, 401])
  server.writeTeam({ members: { bob: { tokens: [bob.entry] } } })
  await waitFor('bob', () => status(bob), code => code === 200, withinASecond)
  t.equal(await status(alice), 401)
  t.match(server.log.find(line => line['msg'] === 'team file re-read'), { added: ['bob'], removed: ['alice'], changed: [] })
})

test('rotation: the old token works beside the new one until its time is up', async t => {
  const old = makeToken({ expires: new Date(Date.now() + 1200).toISOString() })
  const fresh = makeToken()
  const { url } = await startTeamServer(t, { team: { members: { alice: { tokens: [old.entry, fresh.entry] } } } })
  const status = async ({ headers }: typeof old) => (await ask(url, '/', { headers })).status
  t.same([await status(old), await status(fresh)], [200, 200])
  await waitFor('the old token\'s end', () => status(old), code => code === 401, 2200)
  t.equal(await status(fresh), 200)
})

test('a bad edit keeps the last good file and says so, in the log and in health', async t => {
  const alice = makeToken()
  const good = { members: { alice: { tokens: [alice.entry] } } }
  const server = await startTeamServer(t, { team: good })
  t.match(server.health(), { state: 'ok', ready: true, details: { members: 1 } })
  for (const bad of ['{"members":', { members: { alice: { rol: 'admin' } } }]) {
    server.writeTeam(bad)
    await waitFor('health', () => server.health(), report => report?.state === 'degraded', withinASecond)
    t.equal((await ask(server.url, '/', { headers: alice.headers })).status, 200)
    t.equal(server.health()?.ready, true)
    server.writeTeam(good)
    await waitFor('health', () => server.health(), report => report?.state === 'ok', withinASecond)
  }
  rmSync(server.teamFile)
  await waitFor('health', () => server.health(), report => report?.state === 'degraded', withinASecond)
  t.equal((await ask(server.url, '/', { headers: alice.headers })).status, 200)
  const problems = server.log.filter(line => line['msg'] === 'team file refused; the last good one stays in force').map(line => String(line['problem']))
  t.match(problems, [/it ends too early/, /members\.alice\.rol: no such property; did you mean role\?/, /does not exist/])
})

test('follows the swap of a link, as Kubernetes makes it, and a file rewritten in place', async t => {
  const alice = makeToken()
  const bob = makeToken()
  const carol = makeToken()
  const server = await startTeamServer(t, { team: { members: {} } })
  const mount = join(server.folder, 'mount')
  const write = (version: string, members: object): void => {
    mkdirSync(join(mount, version), { recursive: true })
    writeFileSync(join(mount, version, 'team.json'), JSON.stringify({ members }))
    symlinkSync(version, join(mount, '..data_tmp'))
    renameSync(join(mount, '..data_tmp'), join(mount, '..data'))
  }
  write('v1', { alice: { tokens: [alice.entry] } })
  symlinkSync('..data/team.json', join(mount, 'team.json'))
  const mounted = await startTeamServer(t, { settings: { '--team-file': join(mount, 'team.json') } })
  const status = async ({ headers }: typeof alice) => (await ask(mounted.url, '/', { headers })).status
  t.equal(await status(alice), 200)
  write('v2', { bob: { tokens: [bob.entry] } })
  await waitFor('bob', () => status(bob), code => code === 200, withinASecond)
  t.equal(await status(alice), 401)
  writeFileSync(join(mount, 'v2', 'team.json'), JSON.stringify({ members: { carol: { tokens: [carol.entry] } } }))
  await waitFor('carol', () => status(carol), code => code === 200, withinASecond)
})

test('a proxy does not start with a team file that is missing, wrong or open to everybody\'s edits', async t => {
  await t.rejects(startTeamServer(t, { settings: { '--team-file': '/nowhere/team.json' } }), { name: 'TeamFileError', message: /does not exist: izuma-proxy team add NAME makes it/ })
  await t.rejects(startTeamServer(t, { team: { members: { alice: { rol: 'admin' } } } }), { message: /did you mean role/ })
  const server = await startTeamServer(t, { team: { members: {} } })
  chmodSync(server.teamFile, 0o666)
  await t.rejects(startTeamServer(t, { folder: server.folder, team: { members: {} } }), { message: /chmod o-w/ })
})

/** A server whose answers begin and never end; tells when each was closed, and why. */
async function startStreams (t: Parameters<typeof startTeamServer>[0], team: unknown, polite: boolean) {
  const closed: string[] = []
  const server = await startTeamServer(t, {
    team,
    answer: async (request: FastifyRequest) => {
      const { raw } = request
      return await new Promise(resolve => {
        const close = (how: string) => () => { closed.push(how); resolve('gone') }
        if (polite) server.app.team.onRevoked(request.member, close('told'))
        else raw.socket.once('close', close('cut'))
      })
    }
  })
  return { server, closed }
}

test('a revocation closes what is open within a second: politely where a room asked for it', async t => {
  const alice = makeToken()
  const bob = makeToken()
  const team = { members: { alice: { tokens: [alice.entry] }, bob: { tokens: [bob.entry] } } }
  const { server, closed } = await startStreams(t, team, true)
  const answers = [alice, alice, bob].map(({ headers }) => ask(server.url, '/stream', { headers }).catch((error: Error) => error.message))
  await waitFor('the streams', () => server.app.team.list().map(({ open }) => open), open => open[0] === 2 && open[1] === 1)
  server.writeTeam({ members: { bob: { tokens: [bob.entry] } } })
  await waitFor('the closing', () => closed, list => list.length === 2, withinASecond)
  t.same(closed, ['told', 'told'])
  t.match(await Promise.all(answers.slice(0, 2)), [{ status: 200 }, { status: 200 }])
  t.match(server.log.find(line => line['msg'] === 'connections of revoked credentials closed'), { closed: 2 })
  server.writeTeam({ members: {} })
  await Promise.all(answers)
})

test('and by cutting the connection where none did', async t => {
  const alice = makeToken()
  const { server, closed } = await startStreams(t, { members: { alice: { tokens: [alice.entry] } } }, false)
  const answer = ask(server.url, '/download', { headers: alice.headers }).catch((error: Error) => error.message)
  await waitFor('the stream', () => server.app.team.list()[0]?.open, open => open === 1)
  server.writeTeam({ members: {} })
  await waitFor('the closing', () => closed, list => list.length === 1, withinASecond)
  t.equal(await answer, 'socket hang up')
})

test('an expiry closes what is open too, and so does losing the role of admin', async t => {
  const alice = makeToken({ expires: new Date(Date.now() + 1000).toISOString() })
  const admin = makeToken()
  const { server, closed } = await startStreams(t, { members: { alice: { tokens: [alice.entry] }, root: { role: 'admin', tokens: [admin.entry] } } }, true)
  const answers = [alice, admin].map(({ headers }) => ask(server.url, '/stream', { headers }))
  await waitFor('the end of alice', () => closed, list => list.length === 1, 2200)
  server.writeTeam({ members: { root: { tokens: [admin.entry] } } })
  await waitFor('the end of root', () => closed, list => list.length === 2, withinASecond)
  await Promise.all(answers)
})

test('a change that leaves a member\'s token and role alone closes nothing, and limits apply at once', async t => {
  const alice = makeToken()
  const { server, closed } = await startStreams(t, { members: { alice: { tokens: [alice.entry] } } }, true)
  const first = ask(server.url, '/stream', { headers: alice.headers })
  await waitFor('the stream', () => server.app.team.list()[0]?.open, open => open === 1)
  server.writeTeam({ members: { alice: { tokens: [alice.entry], concurrency: 1, deny: ['GET /denied'] } } })
  await waitFor('the new limit', () => server.app.team.list()[0]?.concurrency, concurrency => concurrency === 1, withinASecond)
  t.equal((await ask(server.url, '/stream', { headers: alice.headers })).status, 429)
  t.equal((await ask(server.url, '/denied', { headers: alice.headers })).status, 403)
  t.same(closed, [])
  server.writeTeam({ members: {} })
  await first
})

test('a room that knows a member by name only is told when the name leaves the team', async t => {
  const alice = makeToken()
  const server = await startTeamServer(t, { team: { members: { alice: { tokens: [alice.entry], devices: ['1*'] } } } })
  const member: Member = { name: 'alice', role: 'member' }
  let revoked = 0
  const forget = server.app.team.onRevoked(member, () => { throw new Error('a room that fails must not stop the others') })
  server.app.team.onRevoked(member, () => { revoked++ })
  server.app.team.onRevoked(member, () => { revoked += 10 })()
  t.equal(server.app.team.maySeeDevice(member, '12'), true)
  t.equal(server.app.team.maySeeDevice(member, '21'), false)
  server.writeTeam({ members: {} })
  await waitFor('the revocation', () => revoked, count => count === 1, withinASecond)
  t.equal(server.app.team.maySeeDevice(member, '12'), false)
  t.match(server.app.team.judge(member, 'GET', '/v3/devices'), { allowed: false })
  t.ok(server.log.some(line => line['msg'] === 'closing after a revocation failed'))
  forget()
})

test('nothing in the log or the state folder gives a token away', async t => {
  const alice = makeToken()
  const server = await startTeamServer(t, { team: { members: { alice: { role: 'admin', tokens: [alice.entry] } } } })
  await ask(server.url, '/_proxy/session', { method: 'POST', headers: alice.headers })
  server.writeTeam({ members: { alice: { tokens: [alice.entry, { sha256: alice.token }] } } })
  await waitFor('the complaint', () => server.health(), report => report?.state === 'degraded', withinASecond)
  const texts = [JSON.stringify(server.log), readFileSync(join(server.folder, 'console-sessions.json'), 'utf8'), JSON.stringify(server.app.team.list())]
  for (const text of texts) t.notMatch(text, alice.token.slice(4, 24))
})
