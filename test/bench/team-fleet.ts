/**
 * What a shared limit costs a request: `node test/bench/team-fleet.ts` (needs redis-server). The same server, the same load, with the
 * limits of one process, without limits in a fleet, and with limits that Redis keeps; rounds in turn, so that the machine's moods fall
 * on all alike. CPU of the serving process a request, requests a second, and the time one request alone takes.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import type { Test } from 'tap'
import { startRedis } from '../support/redis.ts'
import { makeToken, startTeamServer } from '../support/team-server.ts'

const rounds = 5
const roundMs = 1500
const names = ['one process, limits', 'fleet, no limits', 'fleet, rate', 'fleet, all limits'] as const

interface Contestant { name: string, child: ChildProcess, url: string, token: string }
interface Figures { cpuUs: number, perSecond: number, aloneUs: number }

if (process.argv[2] === undefined) await run()
else await serve(process.argv[2], process.argv[3] ?? '')

async function serve (name: string, redisUrl: string): Promise<void> {
  const alice = makeToken()
  const rate = { rate: '1000000/s' }
  const limits = name === 'fleet, no limits' ? {} : name === 'fleet, rate' ? rate : { ...rate, concurrency: 1000, daily: 1_000_000_000 }
  const { url } = await startTeamServer({ teardown: () => {} } as unknown as Test, { team: { members: { alice: { tokens: [alice.entry], ...limits } } }, ...(name.startsWith('fleet') && { settings: { PROXY_REDIS_URL: redisUrl, PROXY_REDIS_PREFIX: name.replace(/\W/g, '') + ':' } }) })
  process.on('message', () => process.send?.(process.cpuUsage()))
  setTimeout(() => process.send?.({ url, token: alice.token }), 1500)
  process.once('disconnect', () => process.exit())
}

async function run (): Promise<void> {
  const redis = await startRedis()
  if (redis === undefined) throw new Error('needs redis-server (apt-get install redis-server)')
  const contestants: Contestant[] = []
  for (const name of names) contestants.push(await start(name, redis.url))
  const figures = new Map<string, Figures[]>(names.map(name => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const contestant of contestants) figures.get(contestant.name)?.push(await measure(contestant))
  }
  print(figures)
  for (const { child } of contestants) child.disconnect()
  await redis.remove()
}

async function start (name: string, redisUrl: string): Promise<Contestant> {
  const child = fork(import.meta.filename, [name, redisUrl])
  const [{ url, token }] = await once(child, 'message') as [{ url: string, token: string }]
  return { name, child, url, token }
}

async function measure ({ child, url, token }: Contestant): Promise<Figures> {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 })
  const headers = { authorization: `Bearer ${token}` }
  const one = () => new Promise<void>((resolve, reject) => { get(url, { agent, headers }, response => { response.resume().once('end', resolve) }).once('error', reject) })
  const load = async (connections: number, ms: number) => {
    const untilMs = performance.now() + ms
    let count = 0
    await Promise.all(Array.from({ length: connections }, async () => { for (; performance.now() < untilMs; count++) await one() }))
    return count
  }
  await load(8, 200)
  const before = await askCpu(child)
  const count = await load(32, roundMs)
  const cpu = await askCpu(child) - before
  const alone = await load(1, 300)
  agent.destroy()
  return { cpuUs: cpu / count, perSecond: count * 1000 / roundMs, aloneUs: 300_000 / alone }
}

async function askCpu (child: ChildProcess): Promise<number> {
  child.send('cpu')
  const [{ user, system }] = await once(child, 'message') as [NodeJS.CpuUsage]
  return user + system
}

function print (figures: Map<string, Figures[]>): void {
  console.log('| | CPU, µs a request | ratio | requests/s | ratio | one alone, µs |\n|---|---|---|---|---|---|')
  const median = (values: number[]) => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] as number
  const of = (name: string, key: keyof Figures) => median((figures.get(name) ?? []).map(round => round[key]))
  for (const name of figures.keys()) {
    const cells = [of(name, 'cpuUs').toFixed(0), (of(name, 'cpuUs') / of(names[0], 'cpuUs')).toFixed(2), of(name, 'perSecond').toFixed(0), (of(name, 'perSecond') / of(names[0], 'perSecond')).toFixed(2), of(name, 'aloneUs').toFixed(0)]
    console.log(`| ${name} | ${cells.join(' | ')} |`)
  }
}
