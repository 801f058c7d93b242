import type { Test } from 'tap'
import { encodeFull, encodeIntent, encodeOutcome } from '../../src/trail/lines.ts'
import { parseListQuery } from '../../src/trail/query/parse.ts'
import { TrailReader, type TrailItem } from '../../src/trail/query/reader.ts'
import type { TrailRecord } from '../../src/trail/record.ts'
import { buildBatch } from '../../src/trail/store/batch.ts'
import { connectStore } from '../../src/trail/store/connect.ts'
import { answered, entryMaker } from '../support/trail-entries.ts'
import { testOnBoth, type Place } from '../support/trail-stores.ts'

const make = entryMaker()
const ids = (items: TrailItem[]) => items.map(item => item.id)

/** A reader, and the store beside it that lines of the journal are added to. */
async function openTail (t: Test, place: Place) {
  const store = (await connectStore(place.store)).createStore()
  await store.open()
  const reader = new TrailReader(store.db, place.store.kind)
  t.teardown(() => reader.close())
  let segment = 0
  const addLines = async (...lines: string[]) => {
    const { damaged: _, ...batch } = buildBatch('journal', lines)
    await store.apply({ ...batch, position: { segment: ++segment, bytes: 0 }, nowMs: Date.now() })
  }
  return { reader, addLines }
}

testOnBoth('a tail shows new records and late outcomes once, and says what it passed over', async (t, place) => {
  const { reader, addLines } = await openTail(t, place)
  const add = (...records: TrailRecord[]) => addLines(...records.map(encodeFull))
  const all = { filters: [], text: '' }
  const old = answered(make())
  await add(old)
  let cursor = await reader.beginTail(null)
  t.strictSame((await reader.readChanges(all, cursor)).items, [])
  const [open, done] = [make(), answered(make({ member: 'noa' }))]
  await add(open, done)
  const first = await reader.readChanges(all, cursor)
  t.strictSame(ids(first.items), [open.id, done.id])
  t.strictSame((await reader.readChanges(all, first.cursor)).items, [])
  await add(answered(open))
  const second = await reader.readChanges(all, first.cursor)
  t.strictSame(second.items.map(item => [item.id, item.outcome]), [[open.id, 'answered']])
  t.strictSame((await reader.readChanges(all, second.cursor)).items, [])
  t.strictSame(ids((await reader.readChanges(parseListQuery('member__eq=noa'), cursor)).items), [done.id])
  t.strictSame(ids((await reader.readChanges(all, await reader.beginTail(open.id))).items), [done.id])
  cursor = second.cursor
  const many = Array.from({ length: 700 }, () => answered(make()))
  await add(...many)
  const third = await reader.readChanges(all, cursor)
  t.equal(third.skipped, 200)
  t.strictSame(ids(third.items), many.slice(200).map(record => record.id))
})

testOnBoth('a filtered tail shows what fits only once it has ended, and looks at nothing twice', async (t, place) => {
  const { reader, addLines: add } = await openTail(t, place)
  const failures = parseListQuery('status__gte=500')
  const { cursor } = await reader.readChanges(failures, await reader.beginTail(null))
  const [bad, good, running] = [make(), make(), make()]
  await add(...[bad, good, running].map(encodeIntent))
  const first = await reader.readChanges(failures, cursor)
  t.strictSame(first.items, [], 'nothing has a status yet')
  await add(...Array.from({ length: 300 }, () => encodeFull(answered(make()))))
  const second = await reader.readChanges(failures, first.cursor)
  t.equal(second.cursor.seq, 303, 'what does not fit is behind us, too')
  await add(encodeOutcome(answered(bad, { status: 502 })), encodeOutcome(answered(good)), encodeFull(answered(make({ path: '/new' }), { status: 503 })))
  const third = await reader.readChanges(failures, second.cursor)
  t.strictSame(third.items.map(({ id, path, status }) => [id === bad.id || path, status]), [[true, 502], ['/new', 503]])
  t.strictSame((await reader.readChanges(failures, third.cursor)).items, [])
  t.strictSame(third.cursor.passedOver, [running.id], 'only what is still running is waited for')
})
