import { sql } from 'kysely'
import { join } from 'node:path'
import { connectStore } from '../../src/trail/store/connect.ts'
import { findProxies } from '../../src/trail/store/proxies.ts'
import { answered, entryMaker } from '../support/trail-entries.ts'
import { openFeeder, openJournal, readRows } from '../support/trail-feeding.ts'
import { testOnBoth, until } from '../support/trail-stores.ts'

const makeEntry = entryMaker()

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

testOnBoth('what a proxy runs with is there before its records, and goes after them', async (t, place) => {
  let nowMs = Date.UTC(2026, 0, 1)
  const proxy = (id: string) => ({ id, version: '1.2.3', node: 'v26', region: 'us-east-1', api: 'https://api.example', configuration: 'abc', settings: { PROXY_DRAIN_TIMEOUT: '3s' } })
  const [old, young] = [proxy('0'.repeat(12)), proxy('1'.repeat(12))]
  const options = { now: () => nowMs, retention: { maxAgeMs: 86_400_000, maxBytes: 1e12 }, housekeepingMs: 20 }
  const store = (await connectStore(place.store)).createStore()
  t.teardown(() => store.close())
  const read = () => findProxies(store.db, ['0'.repeat(32), '1'.repeat(32)])
  const { journal } = openJournal(t, place)
  journal.close(answered(makeEntry()))
  const first = await openFeeder(t, place, { ...options, proxy: old })
  await first.feed(journal)
  await first.feeder.stop()
  await store.open()
  t.strictSame(await read(), [old])
  nowMs += 86_400_000 - 1000
  const second = await openFeeder(t, place, { ...options, proxy: young })
  await second.feed(journal)
  t.strictSame(await read(), [old, young], 'there may be records of the old one yet')
  nowMs += 2 * 86_400_000
  await until(async () => (await read()).length === 1)
  t.strictSame(await read(), [young], 'one that lives stays')
})
