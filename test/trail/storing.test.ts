import { sql } from 'kysely'
import { once } from 'node:events'
import fs from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { test, type Test } from 'tap'
import { Journal } from '../../src/trail/journal.ts'
import { JournalReader } from '../../src/trail/journal-reader.ts'
import { connectStore } from '../../src/trail/store/connect.ts'
import { Feeder, type FeederReport } from '../../src/trail/store/feeder.ts'
import type { RetentionLimits } from '../../src/trail/store/housekeeping.ts'
import type { TrailRow } from '../../src/trail/store/schema.ts'
import { answered, entryMaker } from '../support/trail-entries.ts'
import { testOnBoth, testOnSqlite, until, type Place } from '../support/trail-stores.ts'

const makeEntry = entryMaker()

function openJournal (t: Test, { folder }: Pick<Place, 'folder'>, maxSegmentBytes = 1024 ** 2) {
  const journal = new Journal({ folder, onFailure: 'block', sync: false, monotonic: () => performance.now(), onWritten: () => {}, onStateChange: () => {}, maxSegmentBytes })
  const close = () => { journal.end(); journal.release() }
  t.teardown(close)
  return { journal, close }
}

async function openFeeder (t: Test, place: Place, options: { retention?: RetentionLimits, housekeepingMs?: number, now?: () => number } = {}) {
  const reports: FeederReport[] = []
  const messages: string[] = []
  const feeder = new Feeder({
    ...await connectStore(place.store),
    reader: new JournalReader(place.folder),
    retention: { maxAgeMs: 1e12, maxBytes: 1e12 },
    now: Date.now,
    report: report => reports.push(report),
    log: (_level, _what, message) => messages.push(message),
    ...options
  })
  t.teardown(() => feeder.stop())
  const feed = async (journal: Journal) => {
    journal.flush()
    if (journal.position !== undefined) feeder.advance(journal.position)
    await feeder.drain()
  }
  return { feeder, feed, reports, messages }
}

async function readRows (place: Place): Promise<TrailRow[]> {
  const store = (await connectStore(place.store)).createStore()
  await store.open()
  const rows = await store.db.selectFrom('trail').selectAll().orderBy('seq').execute()
  await store.close()
  return rows as unknown as TrailRow[]
}

testOnBoth('intent and outcome become one row, whether they come together or apart', async (t, place) => {
  const { journal } = openJournal(t, place)
  const { feed } = await openFeeder(t, place)
  const together = makeEntry({ query: 'limit=2' })
  const apart = makeEntry({ path: '/v3/api-keys', method: 'POST' })
  journal.record(together, () => {})
  journal.record(apart, () => {})
  journal.flush()
  journal.close(answered(together))
  await feed(journal)
  t.strictSame((await readRows(place)).map(row => row.outcome), ['answered', 'open'])
  journal.close(answered(apart, { status: 403, error_type: 'forbidden', error_message: 'no', notes: 'a,b', duration_ms: 0.001 }))
  await feed(journal)
  const rows = await readRows(place)
  t.equal(rows.length, 2)
  t.match(rows[0], { id: together.id, started_at: Date.parse(together.started_at), status: 200, query: 'limit=2', duration_ms: 12.5, bytes_out: 1024, member: 'mia', error_type: null })
  t.match(rows[1], { id: apart.id, method: 'POST', status: 403, error_type: 'forbidden', error_message: 'no', notes: 'a,b', duration_ms: 0.001, outcome: 'answered' })
})

testOnBoth('an intent waits a moment for its outcome, but not for long; meanwhile a crash loses nothing', async (t, place) => {
  const { journal } = openJournal(t, place)
  const first = await openFeeder(t, place)
  journal.record(makeEntry({ path: '/slow' }), () => {})
  journal.flush()
  const askedAt = performance.now()
  first.feeder.advance(journal.position as never)
  // Read and held, then stored as open.
  await until(() => first.reports.filter(report => report.caughtUp).length === 2)
  t.ok(performance.now() - askedAt >= 140)
  t.match(await readRows(place), [{ path: '/slow', outcome: 'open' }])
  // Read, but not stored when the thread dies: the next one reads it again.
  const quick = makeEntry({ path: '/quick' })
  journal.record(quick, () => {})
  journal.flush()
  const reports = first.reports.length
  first.feeder.advance(journal.position as never)
  await until(() => first.reports.length > reports)
  await first.feeder.stop()
  t.equal((await readRows(place)).length, 1)
  journal.close(answered(quick))
  await (await openFeeder(t, place)).feed(journal)
  t.match(await readRows(place), [{ path: '/slow', outcome: 'open' }, { path: '/quick', outcome: 'answered' }])
})

testOnBoth('no segment goes before all of it is stored, held intents included', async (t, place) => {
  const { journal } = openJournal(t, place, 450)
  for (let i = 0; i < 5; i++) {
    journal.record(makeEntry(), () => {})
    journal.flush()
  }
  t.equal(journal.position?.segment, 3)
  const { feeder, reports } = await openFeeder(t, place)
  feeder.advance(journal.position as never)
  await until(() => reports.some(report => report.caughtUp))
  await feeder.stop() // at once, while the latest is held
  const left = new JournalReader(place.folder)
  const onJournal = left.list().flatMap(segment => left.read(segment, 0).lines).filter(line => line.startsWith('["i"')).length
  left.close()
  t.equal((await readRows(place)).length + onJournal, 5)
  t.strictSame(left.list(), [3])
})

testOnBoth('what is written while the store is waited for is stored without another word', async (t, place) => {
  const { journal } = openJournal(t, place)
  const first = await openFeeder(t, place)
  journal.close(answered(makeEntry({ path: '/before' })))
  await first.feed(journal)
  await first.feeder.stop()
  const { feeder, reports } = await openFeeder(t, place)
  feeder.advance(journal.position as never)
  journal.close(answered(makeEntry({ path: '/while-it-opens' })))
  journal.flush()
  feeder.advance(journal.position as never)
  await until(() => reports.at(-1)?.caughtUp === true && reports.at(-1)?.stored?.bytes === journal.position?.bytes, 20_000)
  t.strictSame((await readRows(place)).map(row => row.path), ['/before', '/while-it-opens'])
})

testOnBoth('an asynchronous answer is added, before the outcome or long after', async (t, place) => {
  const { journal } = openJournal(t, place)
  const { feed } = await openFeeder(t, place)
  const [early, late] = [makeEntry(), makeEntry()]
  journal.record(early, () => {})
  journal.record(late, () => {})
  journal.flush()
  journal.amend(early.id, { async_id: 'a-1', async_status: 200, async_latency_ms: 5 })
  journal.close(answered(early))
  journal.close(answered(late, { async_id: 'a-2' }))
  await feed(journal)
  journal.amend(late.id, { async_status: 504, async_latency_ms: 99.5 })
  await feed(journal)
  const rows = await readRows(place)
  t.match(rows[0], { async_id: 'a-1', async_status: 200, async_latency_ms: 5, outcome: 'answered' })
  t.match(rows[1], { async_id: 'a-2', async_status: 504, async_latency_ms: 99.5 })
})

testOnBoth('the same segments fed twice leave one row each', async (t, place) => {
  const { journal, close } = openJournal(t, place)
  for (let i = 0; i < 50; i++) {
    const entry = makeEntry({ path: `/v3/devices/${i}` })
    journal.record(entry, () => {})
    journal.flush()
    if (i % 3 > 0) journal.close(answered(entry))
    if (i % 3 > 1) journal.amend(entry.id, { async_id: `id-${i}`, async_status: 200 })
  }
  const first = await openFeeder(t, place)
  await first.feed(journal)
  const before = await readRows(place)
  const store = (await connectStore(place.store)).createStore()
  await store.open()
  await store.db.updateTable('trail_position').set({ bytes: 0 }).execute()
  await store.close()
  await first.feeder.stop()
  await (await openFeeder(t, place)).feed(journal)
  t.strictSame(await readRows(place), before)
  t.equal(before.length, 50)
  close()
})

testOnBoth('segments go once they are stored, all but the newest', async (t, place) => {
  const { journal } = openJournal(t, place, 5000)
  const { feed } = await openFeeder(t, place)
  for (let i = 0; i < 200; i++) {
    journal.record(makeEntry(), () => {})
    journal.flush()
  }
  t.ok(fs.readdirSync(place.folder).length > 5)
  await feed(journal)
  t.strictSame(new JournalReader(place.folder).list(), [journal.position?.segment])
  t.equal((await readRows(place)).length, 200)
})

testOnBoth('what an earlier run left open is unfinished, what is open now is not', async (t, place) => {
  const first = openJournal(t, place)
  const lost = makeEntry()
  first.journal.record(lost, () => {})
  await (await openFeeder(t, place)).feed(first.journal)
  const neverStored = makeEntry()
  first.journal.record(neverStored, () => {})
  first.close()
  const second = openJournal(t, place)
  const open = makeEntry()
  second.journal.record(open, () => {})
  const { feed, messages } = await openFeeder(t, place)
  await feed(second.journal)
  const outcomes = Object.fromEntries((await readRows(place)).map(row => [row.id, row.outcome]))
  t.strictSame(outcomes, { [lost.id]: 'unfinished', [neverStored.id]: 'unfinished', [open.id]: 'open' })
  t.match(messages, [/marked unfinished/])
})

testOnBoth('what an earlier run left open is unfinished before this one has written anything', async (t, place) => {
  const first = openJournal(t, place)
  first.journal.record(makeEntry(), () => {})
  first.close()
  const { feed } = await openFeeder(t, place)
  await feed(openJournal(t, place).journal)
  t.strictSame((await readRows(place)).map(row => row.outcome), ['unfinished'])
})

testOnBoth('torn and damaged lines are left out, and no other', async (t, place) => {
  const first = openJournal(t, place)
  first.journal.record(makeEntry(), () => {})
  first.close()
  const [segment] = new JournalReader(place.folder).list()
  fs.appendFileSync(join(place.folder, `${String(segment).padStart(12, '0')}.ndjson`), '["i","torn\n\0\0\0\0\n["z",1]\n["i","half a li')
  const second = openJournal(t, place)
  second.journal.record(makeEntry(), () => {})
  const { feed, messages } = await openFeeder(t, place)
  await feed(second.journal)
  t.equal((await readRows(place)).length, 2)
  t.match(messages, ['trail: damaged lines of the journal were left out'])
})

testOnBoth('text that databases refuse doesn\'t hold up the rest', async (t, place) => {
  const { journal } = openJournal(t, place)
  const { feed } = await openFeeder(t, place)
  const texts = ['\u0000', 'half \ud800 pair', '\\u0000', 'C:\\ud800\\\u0000', '💡', '\'; drop table trail; --', '{"a":[1,null]}', '{NULL,"x"}']
  for (const text of texts) journal.close(answered(makeEntry({ client_agent: text })))
  await feed(journal)
  t.strictSame((await readRows(place)).map(row => row.client_agent), ['\ufffd', 'half \ufffd pair', '\\u0000', 'C:\\ud800\\\ufffd', ...texts.slice(4)])
})

testOnBoth('rows stay in order when the clock jumps, and blocks know which times they span', async (t, place) => {
  let nowMs = Date.UTC(2026, 0, 2)
  const jumpy = entryMaker({ now: () => nowMs, monotonic: () => 0 })
  const { journal } = openJournal(t, place)
  const { feed } = await openFeeder(t, place)
  const paths = ['/a', '/b', '/c']
  for (const path of paths) {
    journal.close(answered(jumpy({ path })))
    nowMs -= 86_400_000
  }
  await feed(journal)
  t.strictSame((await readRows(place)).map(row => row.path), paths)
  const store = (await connectStore(place.store)).createStore()
  await store.open()
  const blocks = await store.db.selectFrom('trail_block').selectAll().execute()
  await store.close()
  t.match(blocks, [{ first_seq: 1, last_seq: 3, rows: 3, min_started_at: Date.UTC(2025, 11, 31), max_started_at: Date.UTC(2026, 0, 2), max_duration_ms: 12.5 }])
})

testOnBoth('several instances may start on an empty store at once', async (t, place) => {
  const workers = Array.from({ length: 4 }, () => new Worker(new URL('../support/open-store.ts', import.meta.url), { workerData: place.store }))
  await Promise.all(workers.map(worker => once(worker, 'message')))
  t.strictSame(await readRows(place), [])
})

testOnBoth('old records go, in small steps; young ones and those still open stay', async (t, place) => {
  let nowMs = Date.UTC(2026, 0, 1)
  const make = entryMaker({ now: () => nowMs, monotonic: () => 0 })
  const { journal } = openJournal(t, place)
  const { feed, feeder, reports } = await openFeeder(t, place, { now: () => nowMs, retention: { maxAgeMs: 86_400_000, maxBytes: 1e12 }, housekeepingMs: 20 })
  journal.record(make({ path: '/still-open' }), () => {})
  for (let i = 0; i < 3000; i++) journal.close(answered(make({ path: '/old' })))
  await feed(journal)
  nowMs += 86_400_000 + 1
  for (let i = 0; i < 10; i++) journal.close(answered(make({ path: '/young' })))
  await feed(journal)
  feeder.advance(journal.position as never)
  await until(async () => (await readRows(place)).length === 11)
  t.strictSame(new Set((await readRows(place)).map(row => row.path)), new Set(['/still-open', '/young']))
  t.ok(reports.at(-1)?.storeBytes)
})

testOnBoth('the oldest records go when the store is too large', async (t, place) => {
  const { journal } = openJournal(t, place)
  const { feed, feeder } = await openFeeder(t, place, { retention: { maxAgeMs: 1e12, maxBytes: 1024 ** 2 }, housekeepingMs: 20 })
  for (let round = 0; round < 8; round++) {
    for (let i = 0; i < 1000; i++) journal.close(answered(makeEntry({ path: `/v3/devices/${round}` })))
    await feed(journal)
  }
  feeder.advance(journal.position as never)
  const store = (await connectStore(place.store)).createStore()
  await store.open()
  t.teardown(() => store.close())
  await until(async () => await store.measure() <= 1024 ** 2)
  const { rows } = await sql<{ path: string }>`select distinct path from trail order by path desc`.execute(store.db)
  t.equal(rows[0]?.path, '/v3/devices/7', 'the newest are there')
  t.notOk(rows.some(row => row.path === '/v3/devices/0'), 'the oldest are not')
})

testOnBoth('what an instance that is gone left open becomes unfinished', async (t, place) => {
  let nowMs = Date.now()
  const other = { ...place, folder: join(place.root, 'other') }
  const lost = openJournal(t, other)
  const entry = makeEntry()
  lost.journal.record(entry, () => {})
  const feeding = await openFeeder(t, other, { now: () => nowMs })
  await feeding.feed(lost.journal)
  await feeding.feeder.stop()
  nowMs += 11 * 60_000
  const { journal } = openJournal(t, place)
  journal.close(answered(makeEntry()))
  const { feed } = await openFeeder(t, place, { now: () => nowMs, housekeepingMs: 20 })
  await feed(journal)
  t.strictSame((await readRows(place)).map(row => row.outcome).sort(), ['answered', 'unfinished'])
  // It was only cut off, and comes back.
  lost.journal.close(answered(entry))
  await (await openFeeder(t, other)).feed(lost.journal)
  t.strictSame((await readRows(place)).map(row => row.outcome).sort(), ['answered', 'answered'])
})

testOnSqlite('a damaged store is moved aside, a new one begun, and what the journal has is in it', async (t, place) => {
  const path = join(place.root, 'trail.db')
  fs.writeFileSync(path, 'this is not a database, but it is longer than a hundred bytes, which is what SQLite looks at first of all.'.repeat(50))
  const { journal } = openJournal(t, place)
  journal.close(answered(makeEntry()))
  const { feed, feeder, messages } = await openFeeder(t, place)
  await feed(journal)
  await feeder.drain()
  t.equal((await readRows(place)).length, 1)
  t.match(messages, ['trail: the store is damaged; a new one is begun', /cannot be written/, 'trail: the store works again'])
  t.ok(fs.readdirSync(place.root).some(name => name.startsWith('trail.db.corrupt-')))
})

testOnSqlite('a store that goes bad while it is used is replaced, too', async (t, place) => {
  const path = join(place.root, 'trail.db')
  const { journal } = openJournal(t, place)
  const { feed, feeder } = await openFeeder(t, place)
  for (let i = 0; i < 500; i++) journal.close(answered(makeEntry()))
  await feed(journal)
  await feeder.stop()
  const fd = fs.openSync(path, 'r+')
  fs.writeSync(fd, Buffer.alloc(fs.fstatSync(fd).size - 4096, 0xa5), 0, undefined, 4096)
  fs.closeSync(fd)
  journal.close(answered(makeEntry({ path: '/after' })))
  const second = await openFeeder(t, place)
  await second.feed(journal)
  await second.feeder.drain()
  await until(async () => (await readRows(place)).some(row => row.path === '/after'))
  t.ok(fs.readdirSync(place.root).some(name => name.startsWith('trail.db.corrupt-')))
})

testOnSqlite('while the store is locked the journal keeps everything, and says so', async (t, place) => {
  const { journal } = openJournal(t, place)
  const { feed, feeder, reports } = await openFeeder(t, place)
  journal.close(answered(makeEntry()))
  await feed(journal)
  const other = new DatabaseSync(join(place.root, 'trail.db'))
  other.exec('BEGIN IMMEDIATE')
  journal.close(answered(makeEntry()))
  await feed(journal)
  t.match(reports.at(-1), { fault: 'busy', caughtUp: false })
  other.exec('ROLLBACK')
  other.close()
  const unlockedAt = performance.now()
  await until(() => reports.at(-1)?.fault === null && reports.at(-1)?.caughtUp)
  t.ok(performance.now() - unlockedAt < 5000)
  t.equal((await readRows(place)).length, 2)
  await feeder.stop()
})

test('a connection to PostgreSQL that breaks between two queries is an error of the next one, and nothing more', async t => {
  const { startPostgres } = await import('../support/postgres.ts')
  const server = await startPostgres()
  if (server === undefined) return t.pass('skipped: no PostgreSQL is installed here (apt install postgresql)')
  t.teardown(() => server.remove())
  const store = (await connectStore({ kind: 'postgres', url: await server.createDatabase(), sync: false })).createStore()
  await store.open()
  t.teardown(() => store.close())
  await t.rejects(store.db.connection().execute(async db => {
    await sql`select 1`.execute(db)
    await server.stop('immediate')
    await sql`select 1`.execute(db)
  }))
  await server.start()
  t.strictSame((await sql<{ one: number }>`select 1 as one`.execute(store.db)).rows, [{ one: 1 }])
})

test('PostgreSQL may be away for as long as it likes', async t => {
  const { startPostgres } = await import('../support/postgres.ts')
  const server = await startPostgres()
  if (server === undefined) return t.pass('skipped: no PostgreSQL is installed here (apt install postgresql)')
  t.teardown(() => server.remove())
  const root = t.testdir()
  const place: Place = { root, folder: join(root, 'journal'), store: { kind: 'postgres', url: await server.createDatabase(), sync: false }, server }
  const { journal } = openJournal(t, place, 20_000)
  const { feed, feeder, reports } = await openFeeder(t, place)
  const ids: string[] = []
  const add = async () => {
    for (let i = 0; i < 20; i++) {
      const entry = makeEntry()
      ids.push(entry.id)
      journal.close(answered(entry))
    }
    await feed(journal)
  }
  await add()
  await server.stop('immediate')
  await add()
  t.match(reports.at(-1), { fault: 'unreachable' })
  await add()
  await server.start()
  const backAt = performance.now()
  await until(() => reports.at(-1)?.fault === null && reports.at(-1)?.caughtUp)
  t.ok(performance.now() - backAt < 5000)
  await add()
  t.strictSame((await readRows(place)).map(row => row.id), ids)
  await feeder.stop()
})
