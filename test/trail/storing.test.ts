import { once } from 'node:events'
import fs from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { JournalReader } from '../../src/trail/journal-reader.ts'
import { connectStore } from '../../src/trail/store/connect.ts'
import { answered, entryMaker } from '../support/trail-entries.ts'
import { openFeeder, openJournal, readRows } from '../support/trail-feeding.ts'
import { testOnBoth, until } from '../support/trail-stores.ts'

const makeEntry = entryMaker()

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
