import { Agent } from 'node:http'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { ask } from '../support/client.ts'
import { makeToken, startTeamServer } from '../support/team-server.ts'
import { waitFor } from '../support/wait-for.ts'

test('limits answer 429 with Retry-After in seconds, each in its own type', async t => {
  const rated = makeToken()
  const narrow = makeToken()
  const spent = makeToken()
  const opened = Promise.withResolvers<void>()
  const finish = Promise.withResolvers<void>()
  const { url, entries } = await startTeamServer(t, {
    team: {
      members: {
        rated: { tokens: [rated.entry], rate: '1/m', burst: 2 },
        narrow: { tokens: [narrow.entry], concurrency: 1 },
        spent: { tokens: [spent.entry], daily: 1 }
      }
    },
    async answer (request) {
      if (request.url !== '/slow') return
      opened.resolve()
      await finish.promise
    }
  })
  for (const expected of [200, 200, 429]) t.equal((await ask(url, '/', { headers: rated.headers })).status, expected)
  const limited = await ask(url, '/', { headers: rated.headers })
  t.match(JSON.parse(limited.text), { type: 'rate_limited', message: 'This member may send 1 requests a minute, 2 at once after a pause.' })
  t.ok(Number(limited.headers['retry-after']) > 55 && Number(limited.headers['retry-after']) <= 60)

  const slow = ask(url, '/slow', { headers: narrow.headers })
  await opened.promise
  const second = await ask(url, '/', { headers: narrow.headers })
  t.match([second.status, second.headers['retry-after'], JSON.parse(second.text)], [429, '1', { type: 'concurrency_limited' }])
  finish.resolve()
  await slow
  t.equal((await ask(url, '/', { headers: narrow.headers })).status, 200, 'the place is free again')

  t.equal((await ask(url, '/', { headers: spent.headers })).status, 200)
  const over = await ask(url, '/', { headers: spent.headers })
  t.match([over.status, JSON.parse(over.text)], [429, { type: 'budget_spent' }])
  t.ok(Number(over.headers['retry-after']) <= 86_400)
  t.equal((await ask(url, '/_proxy/trail', { headers: spent.headers })).status, 200, 'looking at the trail is not a request to the API')
  t.ok(entries.every(({ attempts, error_type: type }) => type === null || attempts === 0))
})

test('a place is given back however the request ends', async t => {
  const alice = makeToken()
  const { app, url } = await startTeamServer(t, {
    team: { members: { alice: { tokens: [alice.entry], concurrency: 1 } } },
    answer: async request => {
      if (request.url === '/throws') throw new Error('a defect')
      if (request.url === '/hangs') await new Promise(() => {})
    }
  })
  for (const path of ['/', '/throws', '/nowhere']) {
    await ask(url, path, { headers: alice.headers })
    await waitFor('the place', () => app.team.list()[0]?.open, open => open === 0)
  }
  const gone = ask(url, '/hangs', { headers: alice.headers, signal: AbortSignal.timeout(100) }).catch(() => 'left')
  await waitFor('the request', () => app.team.list()[0]?.open, open => open === 1)
  t.equal(await gone, 'left')
  await waitFor('the place', () => app.team.list()[0]?.open, open => open === 0)
})

test('what never reached the API costs no budget', async t => {
  const alice = makeToken()
  const { app, url } = await startTeamServer(t, { sends: false, team: { members: { alice: { tokens: [alice.entry], daily: 2 } } } })
  for (let count = 0; count < 5; count++) t.equal((await ask(url, '/v2/notification/websocket', { headers: alice.headers })).status, 200)
  t.equal((await waitFor('the count', () => app.team.list()[0], member => member?.requestsToday === 0))?.open, 0)
})

test('the day\'s counts are saved within seconds and taken up at the next start', async t => {
  const alice = makeToken()
  const team = { members: { alice: { tokens: [alice.entry], daily: 3 } } }
  const first = await startTeamServer(t, { team })
  for (const expected of [200, 200]) t.equal((await ask(first.url, '/', { headers: alice.headers })).status, expected)
  const file = join(first.folder, 'team-usage.json')
  // As after kill -9: nothing was closed yet.
  await waitFor('the file', () => { try { return readFileSync(file, 'utf8') } catch { return '' } }, text => text.includes('"sent":2'), 5000)
  const second = await startTeamServer(t, { team, folder: first.folder })
  t.same((await Promise.all([1, 2].map(() => ask(second.url, '/', { headers: alice.headers })))).map(({ status }) => status), [200, 429])
  t.match(second.app.team.list(), [{ name: 'alice', role: 'member', requestsToday: 3, refusedToday: 1, daily: 3 }])
  t.match(second.app.team.list()[0]?.lastSeen, /^20.*Z$/)
})

test('a state folder that can\'t be written to is said once and stops nobody', async t => {
  const alice = makeToken()
  const { url, log } = await startTeamServer(t, { team: { members: { alice: { tokens: [alice.entry] } } }, settings: { '--trail': 'sqlite:/etc/hostname/none/trail.db' } })
  t.equal((await ask(url, '/', { headers: alice.headers })).status, 200)
  await waitFor('the warning', () => log.filter(line => line['msg'] === 'the members\' counts of the day could not be saved').length, count => count === 1)
  t.equal((await ask(url, '/_proxy/session', { method: 'POST', headers: alice.headers })).status, 200, 'nor a login')
})

/** Keeps `connections` requests under way until the time is up; gives how many were answered 200. */
async function load (url: string, headers: { authorization: string }, connections: number, untilMs: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  let served = 0
  await Promise.all(Array.from({ length: connections }, async () => {
    while (performance.now() < untilMs) {
      const { status } = await ask(url, '/v3/devices', { agent, headers })
      if (status === 200 && performance.now() < untilMs) served++
    }
  }))
  agent.destroy()
  return served
}

test('on a real server, sixty connections of one member get no more than the three of each other one', async t => {
  const names = ['greedy', 'a', 'b', 'c']
  const tokens = new Map(names.map(name => [name, makeToken()]))
  const members = Object.fromEntries(names.map(name => [name, { tokens: [tokens.get(name)?.entry] }]))
  // Four places of 150 ms, which even a busy machine fills; everybody wants more than a quarter of them: first come, first served would give the greedy one nine tenths.
  const { url } = await startTeamServer(t, { team: { key: { concurrency: 4 }, members }, answer: () => new Promise(resolve => setTimeout(() => resolve({}), 150)) })
  const untilMs = performance.now() + 2500
  const served = await Promise.all(names.map(name => load(url, tokens.get(name)?.headers ?? { authorization: '' }, name === 'greedy' ? 60 : 3, untilMs)))
  const share = served.reduce((sum, count) => sum + count) / names.length
  t.ok(Math.min(...served.slice(1)) >= 0.8 * share, `served ${served.join(', ')}; a fair share is ${share}`)
  t.ok((served[0] ?? 0) >= 0.8 * share, 'nor is the greedy one punished')
  t.comment(`served ${served.join(', ')}; a fair share is ${share}`)
})
