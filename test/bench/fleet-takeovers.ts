/**
 * Takeovers of the notification channel, many: `npm run soak:fleet` lets three processes share it, over a real Redis and
 * PostgreSQL, and takes the holder away fifty times: stopped, killed, paused, cut off from Redis. Three listeners follow, each going
 * on elsewhere when its instance is gone. Exits 1 if one of them missed or doubled an event, was not told just once of each holder that
 * ended without letting go, or the API ever had two sockets to choose from where one is enough. `TAKEOVERS=8 BLOWS=stop,cut` for fewer. About ten minutes.
 */
import type { Test } from 'tap'
import { FleetOfProcesses, Follower, gapsAfter, type Blow, type Takeover } from '../support/fleet-processes.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { waitFor } from '../support/wait-for.ts'

const takeovers = Number(process.env['TAKEOVERS'] ?? 50)
const blows = (process.env['BLOWS'] ?? 'stop,kill,pause,cut').split(',') as Blow[]
const everyMs = 20

const [redis, postgres] = [await startRedis(), await startPostgres()]
if (redis === undefined || postgres === undefined) throw new Error('needs redis-server and postgresql (apt-get install redis-server postgresql)')
const teardowns: Array<() => unknown> = [() => postgres.remove(), () => redis.remove()]
const scope = { teardown: (work: () => unknown) => teardowns.push(work) } as unknown as Test

const fleet = await FleetOfProcesses.start(scope, 3, { redis, postgres })
const followers = [0, 1, 2].map(offset => new Follower(fleet, offset))
const settled = async () => { await waitFor('every event', () => followers.map(({ heard }) => heard.length), counts => counts.every(count => count >= fleet.sent), 30_000).catch(() => {}) }
await waitFor('the listeners', () => followers.map(({ connects }) => connects), connects => connects.every(count => count > 0), 30_000)

fleet.send(everyMs)
const results: Takeover[] = []
for (let n = 0; n < takeovers; n++) {
  const result = await fleet.takeOver(blows[n % blows.length] as Blow, everyMs, settled)
  results.push(result)
  console.log(`${String(n + 1).padStart(3)} ${result.blow.padEnd(6)} ${String(result.ms).padStart(6)} ms  ${fleet.sent} events sent, heard ${followers.map(({ heard }) => heard.length).join(', ')}`)
}
fleet.quiet()
await settled()
const wrong = report()
for (const follower of followers) await follower.stop()
for (const teardown of teardowns.reverse()) await teardown()
process.exitCode = wrong ? 1 : 0

function report (): boolean {
  for (const blow of blows) {
    const times = results.filter(result => result.blow === blow).map(({ ms }) => ms).sort((a, b) => a - b)
    console.log(`${blow.padEnd(6)} median ${times[Math.floor(times.length / 2)]} ms, longest ${times.at(-1)} ms`)
  }
  const expected = Array.from({ length: fleet.sent }, (_, n) => String(n))
  const told = results.flatMap(({ blow }) => gapsAfter[blow])
  const accounts = followers.map(({ heard, gaps, connects }) => {
    const seen = new Set(heard)
    return { missed: expected.filter(number => !seen.has(number)), doubled: heard.length - seen.size, gaps: gaps.length, told: gaps.join() === told.join(), connects, sameOrder: heard.join() === (followers[0] as Follower).heard.join() }
  })
  console.log(`${fleet.sent} events`, ...accounts.map(account => JSON.stringify(account)))
  const displaced = results.filter(({ blow, displaced }) => displaced !== (blow === 'pause' || blow === 'cut' ? 1 : 0))
  console.log(`sockets sent away by the API out of turn: ${displaced.length}`)
  return displaced.length > 0 || accounts.some(({ missed, doubled, told, sameOrder }) => missed.length > 0 || doubled > 0 || !told || !sameOrder)
}
