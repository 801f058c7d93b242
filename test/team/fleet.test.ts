import t, { test, type Test } from 'tap'
import { Secret } from '../../src/access-key/secret.ts'
import { ask, type Answer } from '../support/client.ts'
import { makeAccessKey } from '../support/proxy.ts'
import { dumpAll, noRedis, startRedis, type RedisServer } from '../support/redis.ts'
import { makeToken, startTeamServer, type TeamServer, type TeamServerOptions } from '../support/team-server.ts'
import { waitFor } from '../support/wait-for.ts'

const server = await startRedis()
t.teardown(() => server?.remove())
t.jobs = 4
const skip = server === undefined && noRedis
const redis = server as RedisServer
let databases = 0

const accessKey = new Secret(makeAccessKey())

/** Instances with a copy each of the same team file. */
async function startFleet (t: Test, count: number, options: TeamServerOptions, url = `${redis.url}/${++databases}`): Promise<TeamServer[]> {
  const settings = { PROXY_REDIS_URL: url, ...options.settings }
  const servers = await Promise.all(Array.from({ length: count }, () => startTeamServer(t, { accessKey, ...options, settings })))
  await waitFor('the fleet', () => servers.map(({ log }) => log.some(({ msg }) => msg === 'limits are shared with the other instances')), states => states.every(Boolean), 15_000)
  return servers
}

test('a token revoked in one instance\'s file is refused by all within a second, open connections included, whatever their own copy says', { skip, buffered: true }, async t => {
  const [alice, bob] = [makeToken(), makeToken()]
  const members = { alice: { tokens: [alice.entry] }, bob: { tokens: [bob.entry] } }
  const opened = Promise.withResolvers<void>()
  const url = `${redis.url}/${++databases}`
  const [a, b] = await startFleet(t, 2, {
    team: { members },
    async answer ({ url }) {
      if (url !== '/hangs') return
      opened.resolve()
      await new Promise(() => {})
    }
  }, url) as [TeamServer, TeamServer]
  const open = ask(b.url, '/hangs', { headers: alice.headers }).then(() => 'answered', () => 'cut off')
  await opened.promise
  const revoked = performance.now()
  a.writeTeam({ members: { bob: members.bob } })
  await waitFor('the refusal', () => ask(b.url, '/', { headers: alice.headers }), ({ status }) => status === 401)
  t.equal(await open, 'cut off')
  t.ok(performance.now() - revoked < 2000, `after ${(performance.now() - revoked).toFixed(0)} ms; polled on a busy machine`)
  t.comment(`revoked on the other instance after ${(performance.now() - revoked).toFixed(0)} ms`)
  t.equal((await ask(b.url, '/', { headers: bob.headers })).status, 200)
  t.match(b.health(), { state: 'degraded', ready: true, details: { problem: 'tokens of alice stand in this file that another instance saw revoked: they are refused; bring this copy up to date' } })

  const [late] = await startFleet(t, 1, { team: { members } }, url) as [TeamServer]
  await waitFor('an instance that starts later', () => ask(late.url, '/', { headers: alice.headers }), ({ status }) => status === 401)

  a.writeTeam({ members })
  for (const { url } of [a, b, late]) await waitFor('the token that came back', () => ask(url, '/', { headers: alice.headers }), ({ status }) => status === 200)
  t.match(b.health(), { state: 'ok' })
})

test('who has seen an older file come after a newer one doesn\'t bring a revoked token back', { skip, buffered: true }, async t => {
  const alice = makeToken()
  const members = { alice: { tokens: [alice.entry] } }
  const [a, b] = await startFleet(t, 2, { team: { members: {} } }) as [TeamServer, TeamServer]
  a.writeTeam({ members })
  await waitFor('the token', () => ask(a.url, '/', { headers: alice.headers }), ({ status }) => status === 200)
  a.writeTeam({ members: {} })
  await waitFor('the revocation', () => ask(a.url, '/', { headers: alice.headers }), ({ status }) => status === 401)
  b.writeTeam({ members })
  await waitFor('b reads its file', () => b.health()?.state, state => state === 'degraded')
  for (const { url } of [a, b]) t.equal((await ask(url, '/', { headers: alice.headers })).status, 401)
})

test('a login on one instance counts on all, and a logout ends it on all, with what it had open', { skip, buffered: true }, async t => {
  const alice = makeToken()
  const opened = Promise.withResolvers<void>()
  const [a, b] = await startFleet(t, 2, {
    team: { members: { alice: { tokens: [alice.entry], role: 'admin' } } },
    async answer ({ url }) {
      if (url !== '/_proxy/hangs') return
      opened.resolve()
      await new Promise(() => {})
    }
  }) as [TeamServer, TeamServer]
  const login = await ask(a.url, '/_proxy/session', { method: 'POST', headers: alice.headers })
  const cookie = String(login.headers['set-cookie']).split(';')[0] as string
  const csrf = (JSON.parse(login.text) as { csrf_token: string }).csrf_token
  const who = (url: string): Promise<Answer> => ask(url, '/_proxy/session', { headers: { cookie } })
  t.match([await who(a.url), await who(b.url)].map(({ status, text }) => [status, JSON.parse(text)]), [[200, { via: 'session' }], [200, { via: 'session', csrf_token: csrf }]])
  const open = ask(b.url, '/_proxy/hangs', { headers: { cookie } }).then(() => 'answered', () => 'cut off')
  await opened.promise
  const asked = performance.now()
  t.equal((await ask(a.url, '/_proxy/session', { method: 'DELETE', headers: { cookie, 'x-csrf-token': csrf } })).status, 204)
  // One that is under way when the session ends is cut off too.
  await waitFor('the end on b', () => who(b.url).catch(() => ({ status: 0 })), ({ status }) => status === 401)
  t.equal(await open, 'cut off')
  t.comment(`ended on the other instance after ${(performance.now() - asked).toFixed(0)} ms`)
})

test('wrong tokens of an address are counted over all instances', { skip, buffered: true }, async t => {
  const [a, b, c] = await startFleet(t, 3, { team: { members: {} } }) as [TeamServer, TeamServer, TeamServer]
  const started = performance.now()
  const answers = await Promise.all(Array.from({ length: 120 }, (_, index) => ask(([a, b, c][index % 3] as TeamServer).url, '/', { headers: makeToken().headers })))
  const guessed = answers.filter(({ status }) => status === 401).length
  const allowed = 50 + 5 * (performance.now() - started) / 1000
  t.ok(guessed >= 50 && guessed <= allowed + 1, `${guessed} of 120 guesses were looked at, ${allowed.toFixed(0)} allowed`)
  t.equal(answers.filter(({ status }) => status === 429).length, 120 - guessed)
})

test('members, status and limits of the whole room are those of all instances', { skip, buffered: true }, async t => {
  const alice = makeToken()
  const url = `${redis.url}/${++databases}`
  const [a, b] = await startFleet(t, 2, { team: { members: { alice: { tokens: [alice.entry], daily: 3 } } } }, url) as [TeamServer, TeamServer]
  t.same((await Promise.all([a, b, a, b].map(({ url }) => ask(url, '/', { headers: alice.headers })))).map(({ status }) => status).toSorted((one, other) => one - other), [200, 200, 200, 429])
  t.match(a.health()?.details, { limits: 'shared with the other instances' })
  for (const { app } of [a, b]) await waitFor('the list', () => app.team.list()[0], member => member?.requestsToday === 3 && member.refusedToday === 1)
  await b.app.close()
  const [c] = await startFleet(t, 1, { team: { members: { alice: { tokens: [alice.entry], daily: 3 } } } }, url) as [TeamServer]
  t.equal((await ask(c.url, '/', { headers: alice.headers })).status, 429, 'the day\'s count survives')
})

test('nothing of a token, a session or the access key is in Redis', { skip, buffered: true }, async t => {
  const alice = makeToken()
  const url = `${redis.url}/${++databases}`
  const [a] = await startFleet(t, 1, { team: { members: { alice: { tokens: [alice.entry], rate: '5/s' } } } }, url) as [TeamServer]
  await ask(a.url, '/', { headers: alice.headers })
  const login = await ask(a.url, '/_proxy/session', { method: 'POST', headers: alice.headers })
  const cookie = String(login.headers['set-cookie']).split(';')[0] as string
  await ask(a.url, '/_proxy/session', { method: 'DELETE', headers: { cookie, 'x-csrf-token': (JSON.parse(login.text) as { csrf_token: string }).csrf_token } })
  a.writeTeam({ members: {} })
  const client = a.app.fleet?.redis
  if (client === undefined) throw new Error('no fleet')
  await waitFor('the mark', () => client.zcard('izuma-proxy:team:revoked'), count => count > 0)
  const dump = await dumpAll(client)
  t.ok(dump.includes('izuma-proxy:team:ended-sessions'))
  for (const secret of [alice.token, alice.token.slice(4), cookie.split('=')[1] as string, accessKey.reveal(), accessKey.reveal().slice(-32)]) t.notOk(dump.includes(secret))
})
