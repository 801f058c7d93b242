import { sql } from 'kysely'
import fs from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { connectStore } from '../../src/trail/store/connect.ts'
import { answered, entryMaker } from '../support/trail-entries.ts'
import { openFeeder, openJournal, readRows } from '../support/trail-feeding.ts'
import { testOnPostgres, testOnSqlite, until } from '../support/trail-stores.ts'

const makeEntry = entryMaker()

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

testOnPostgres('a connection to PostgreSQL that breaks between two queries is an error of the next one, and nothing more', async (t, place, server) => {
  const store = (await connectStore(place.store)).createStore()
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

testOnPostgres('PostgreSQL may be away for as long as it likes', async (t, place, server) => {
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
