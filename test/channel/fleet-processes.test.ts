import t from 'tap'
import { FleetOfProcesses, Follower, type Blow } from '../support/fleet-processes.ts'
import { startPostgres } from '../support/postgres.ts'
import { noRedis, startRedis } from '../support/redis.ts'
import { waitFor } from '../support/wait-for.ts'

// Fifty and more takeovers: npm run soak:fleet.

const [redis, postgres] = [await startRedis(), await startPostgres()]
t.teardown(() => Promise.all([redis?.remove(), postgres?.remove()]))
const skip = redis === undefined ? noRedis : postgres === undefined && 'needs PostgreSQL (apt-get install postgresql)'

const everyMs = 20
/** Of the issue: within a second of a graceful stop, ten of anything else. With leave for a machine that does other things too. */
const limitsMs: Record<Blow, number> = { stop: 2_000, kill: 15_000, pause: 15_000, cut: 15_000 }

t.test('three processes: the holder stops, is killed, is paused, is cut off, and nobody who listens misses or doubles an event', { skip }, async t => {
  const fleet = await FleetOfProcesses.start(t, 3, { redis: redis as never, postgres: postgres as never })
  const followers = [0, 1, 2].map(offset => new Follower(() => fleet.urls, offset))
  t.teardown(() => Promise.all(followers.map(follower => follower.stop())))
  await waitFor('the listeners', () => followers.map(({ connects }) => connects), connects => connects.every(count => count > 0))
  const settled = async () => { await waitFor('every event', () => followers.map(({ heard }) => heard.length), counts => counts.every(count => count >= fleet.sent), 20_000) }
  fleet.send(everyMs)
  for (const blow of ['stop', 'kill', 'pause', 'cut'] as const) {
    const { ms, displaced } = await fleet.takeOver(blow, everyMs, settled)
    t.comment(`${blow}: another instance has the channel open after ${ms} ms`)
    t.ok(ms < limitsMs[blow], `${blow}: in time`)
    t.equal(displaced, blow === 'pause' || blow === 'cut' ? 1 : 0, `${blow}: the API sends away the socket of one that cannot know, and no other`)
    t.equal(fleet.api.connections().webSockets, 1, `${blow}: one socket`)
  }
  fleet.quiet()
  await settled()
  const [first] = followers as [Follower]
  for (const { heard, gaps } of followers) {
    t.same(heard, first.heard, 'all in the same order')
    t.same([...heard].sort((a, b) => Number(a) - Number(b)), Array.from({ length: fleet.sent }, (_, n) => String(n)), 'every event once')
    t.same(gaps, [])
  }
  t.comment(`${fleet.sent} events`)
})
