import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startApi } from '../support/api-server.ts'
import { ask } from '../support/client.ts'
import { startProcess } from '../support/process.ts'
import { makeAccessKey } from '../support/proxy.ts'
import { noRedis, startRedis, type RedisServer } from '../support/redis.ts'
import { makeToken } from '../support/team-server.ts'
import { waitFor } from '../support/wait-for.ts'

const redis = await startRedis()
t.teardown(() => redis?.remove())
// Each whole proxy takes seconds to start on a busy machine.
t.setTimeout(120_000)

let databases = 0

/** Three whole proxies, each a process, on one Redis and one API that answers `/slow` when told to. */
async function startFleet (t: Test, team: unknown) {
  // Shares of processes that were killed stay aside for a minute: no two tests on one database.
  const url = `${(redis as RedisServer).url}/${++databases}`
  const held: ServerResponse[] = []
  const api = await startApi(t, (request, response) => { if (request.url === '/v3/slow') held.push(response); else response.end('{}') })
  const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-fleet-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'ca.pem'), api.ca)
  writeFileSync(join(folder, 'key'), makeAccessKey(), { mode: 0o600 })
  writeFileSync(join(folder, 'team.json'), JSON.stringify(team))
  const start = async (name: string) => {
    const words = ['--listen', '127.0.0.1:0', '--api-host', api.origin, '--ca-file', join(folder, 'ca.pem'), '--access-key-file', join(folder, 'key'), '--team-file', join(folder, 'team.json'), '--trail', `sqlite:${join(folder, name, 'trail.db')}`, '--channel', 'off']
    return startProcess(t, words, { cwd: folder, environment: { PROXY_REDIS_URL: url } })
  }
  const proxies = await Promise.all(['a', 'b', 'c'].map(start))
  for (const proxy of proxies) await waitFor('shared limits', () => proxy.output(), output => output.includes('limits are shared'), 20_000)
  return { held, folder, start, proxies }
}

t.test('places of a killed process are free again, those of one that stood still are counted again, and neither lets anybody beyond the limit for long', { skip: redis === undefined && noRedis }, async t => {
  const alice = makeToken()
  const { headers } = alice
  const { held, proxies: [a, b, c] } = await startFleet(t, { members: { alice: { tokens: [alice.entry], concurrency: 3 } } })
  if (a === undefined || b === undefined || c === undefined) throw new Error('three were started')
  const status = async (url: string) => (await ask(url, '/v3/devices', { headers })).status
  const slow = [a, a, b].map(({ url }) => ask(url, '/v3/slow', { headers }).then(({ status }) => status, () => 'cut off'))
  await waitFor('three under way', () => held.length, count => count === 3)
  t.same(await Promise.all([a, b, c].map(({ url }) => status(url))), [429, 429, 429])

  await a.stop('SIGKILL')
  t.same(await Promise.all(slow.slice(0, 2)), ['cut off', 'cut off'])
  await waitFor('the places of the killed one', () => status(c.url), code => code === 200, 10_000)

  b.child.kill('SIGSTOP')
  // Its request still runs, but nobody can tell it from a dead one's.
  await waitFor('the place of the one that stands still', () => Promise.all([1, 2, 3].map(() => status(c.url))), codes => codes.every(code => code === 200), 10_000)
  b.child.kill('SIGCONT')
  await waitFor('its place is counted again', () => b.output().match(/limits are shared/g)?.length, times => times === 2, 15_000)
  const more = [1, 2].map(() => ask(c.url, '/v3/slow', { headers }))
  await waitFor('three under way again', () => held.length, count => count === 5)
  t.equal(await status(c.url), 429)
  for (const response of held) response.end('{}')
  t.equal(await slow[2], 200, 'it lived through its pause')
  t.same((await Promise.all(more)).map(({ status }) => status), [200, 200])
  await waitFor('the places', () => status(b.url), code => code === 200)
})

t.test('the key\'s limit holds for three processes under load, through a kill, a restart and a Redis that is killed', { skip: redis === undefined && noRedis }, async t => {
  const alice = makeToken()
  const { headers } = alice
  const [perSecond, burst] = [15, 30]
  const { start, proxies } = await startFleet(t, { key: { rate: `${perSecond}/s`, burst, maxWait: '2s' }, members: { alice: { tokens: [alice.entry] } } })
  const over = new AbortController()
  const started = performance.now()
  let served = 0
  let most = 0
  const work = async (index: number) => {
    while (!over.signal.aborted) {
      const code = await ask(proxies[index % 3]?.url ?? '', '/v3/devices', { headers }).then(({ status }) => status, () => 0)
      if (code === 200) served++
      most = Math.max(most, served - (performance.now() - started) / 1000 * perSecond)
      if (code === 0) await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
  const workers = Array.from({ length: 12 }, (_, index) => work(index))
  const servedMore = async (count: number) => { const before = served; await waitFor(`${count} more`, () => served - before, more => more >= count, 30_000) }
  await servedMore(45)
  await proxies[0]?.stop('SIGKILL')
  await servedMore(15)
  proxies[0] = await start('a')
  await servedMore(15)
  await redis?.stop()
  await servedMore(45)
  await redis?.start()
  await servedMore(30)
  over.abort()
  await Promise.all(workers)
  // One burst is the bucket's own, and by one the limit may be exceeded.
  t.ok(most <= 2 * burst + 1, `at most ${most.toFixed(1)} beyond the rate: its burst of ${burst}, and one more`)
  t.comment(`${served} served in ${((performance.now() - started) / 1000).toFixed(1)} s at ${perSecond}/s; at most ${most.toFixed(1)} beyond the rate, burst ${burst}`)
})
