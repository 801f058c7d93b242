import fc from 'fast-check'
import { test } from 'tap'
import { encodeFull, encodeIntent, encodeOutcome } from '../../src/trail/lines.ts'
import { fieldNames, fields, type Field } from '../../src/trail/query/fields.ts'
import { parseListQuery, type Filter, type FilterValue } from '../../src/trail/query/parse.ts'
import { TrailReader, type TrailItem } from '../../src/trail/query/reader.ts'
import { decodeBin } from '../../src/trail/query/series.ts'
import type { TrailRecord } from '../../src/trail/record.ts'
import { buildBatch } from '../../src/trail/store/batch.ts'
import { connectStore } from '../../src/trail/store/connect.ts'
import { answered, entryMaker } from '../support/trail-entries.ts'
import { testOnBoth, type Place } from '../support/trail-stores.ts'

const ms = (text: string) => Date.parse(text)

/** What a filter means, said once more and as plainly as possible. */
function fulfils (record: TrailRecord, filter: Filter): boolean {
  const value = filter.field === 'started_at' ? ms(record.started_at) : record[filter.field]
  const isEmpty = value === null || value === ''
  switch (filter.op) {
    case 'in': return filter.values.some(wanted => wanted === null ? isEmpty : value === wanted)
    case 'nin': return !filter.values.some(wanted => wanted === null ? isEmpty : value === wanted)
    case 'gte': return value !== null && value >= filter.value
    case 'lte': return value !== null && value <= filter.value
    case 'within': return filter.spans.some(span => (value as number) >= span.from && (value as number) < span.to)
    case 'outside': return filter.spans.every(span => (value as number) < span.from || (value as number) >= span.to)
  }
}

async function fill (place: Place, records: TrailRecord[]): Promise<TrailReader> {
  const store = (await connectStore(place.store)).createStore()
  await store.open()
  const apply = async (lines: string[]) => {
    const { damaged: _, ...batch } = buildBatch('journal', lines)
    await store.apply({ ...batch, position: { segment: 1, bytes: 0 }, nowMs: Date.now() })
  }
  // Several batches, so that there are several blocks; and some outcomes come later, even after a restart.
  for (let from = 0; from < records.length; from += 300) {
    const [some, late] = [records.slice(from, from + 300), records.slice(Math.max(0, from - 300), from)]
    await apply([...some.map((record, index) => index % 3 === 0 ? encodeIntent(record) : encodeFull(record)), ...late.filter((_, index) => index % 6 === 0).map(encodeOutcome)])
  }
  const restarted = (await connectStore(place.store)).createStore()
  await restarted.open()
  const { damaged: _, ...batch } = buildBatch('journal', records.map(encodeOutcome))
  await restarted.apply({ ...batch, position: { segment: 1, bytes: 0 }, nowMs: Date.now() })
  await restarted.close()
  return new TrailReader(store.db, place.store.kind, () => baseMs + 3_600_000)
}

const baseMs = ms('2026-03-01T00:00:00Z')

function makeRecords (count: number): TrailRecord[] {
  let nowMs = baseMs
  const make = entryMaker({ now: () => nowMs, monotonic: () => 0 })
  return Array.from({ length: count }, (_, i) => {
    nowMs += i % 500 === 499 ? -600_000 : 4000 // the clock is put back now and then
    return answered(make({
      member: ['mia', 'noa', 'lou'][i % 3] as string,
      method: i % 50 === 0 ? 'DELETE' : 'GET',
      path: `/v3/devices/${i % 40}`,
      notes: i % 11 === 0 ? 'key_removed' : ''
    }), {
      status: i % 17 === 0 ? 404 : i % 301 === 0 ? 500 : i % 29 === 0 ? null : 200,
      error_type: i % 17 === 0 ? 'not_found' : null,
      error_message: i % 17 === 0 ? `No 100%_Device ${i}` : null,
      outcome: i % 29 === 0 ? 'client_aborted' : 'answered',
      duration_ms: i % 7 + i / 1000,
      upstream_request_id: i % 5 === 0 ? null : `01${String(i).padStart(30, '0')}`,
      parent_id: i % 100 === 1 ? 'f'.repeat(32) : '',
      async_id: i % 200 === 0 ? `async-${i}` : null
    })
  })
}

const ids = (items: TrailItem[]) => items.map(item => item.id)

testOnBoth('finds what fulfils the filters, in order, page by page: the same as looking at each', async (t, place) => {
  const records = makeRecords(2000)
  const reader = await fill(place, records)
  t.teardown(() => reader.close())
  const byId = new Map(records.map(record => [record.id, record]))
  t.strictSame((await reader.list({ ...parseListQuery('limit=2'), order: 'ASC' })).data.map(({ object, ...item }) => item), records.slice(0, 2).map(record => JSON.parse(JSON.stringify(record, [...fieldNames])) as TrailRecord))

  const sample = (field: Field) => fc.nat(records.length - 1).map(index => records[index]?.[field] as FilterValue)
  const filter: fc.Arbitrary<Filter> = fc.constantFrom(...fieldNames.filter(name => name !== 'started_at')).chain(field => fc.oneof(
    fc.record({ field: fc.constant(field), op: fc.constantFrom('in' as const, 'nin' as const), values: fc.array(sample(field), { minLength: 1, maxLength: 3 }).map(values => values.map(value => value === '' ? null : value)) }),
    fc.record({ field: fc.constant(field), op: fc.constantFrom('gte' as const, 'lte' as const), value: sample(field).map(value => value ?? (fields[field].type === 'text' ? 'm' : 300)) })
  ))
  const time = fc.integer({ min: -60, max: 2100 }).map(step => baseMs + step * 4000)
  const timeFilter: fc.Arbitrary<Filter> = fc.oneof(
    fc.record({ field: fc.constant('started_at' as const), op: fc.constantFrom('gte' as const, 'lte' as const), value: time }),
    fc.record({ field: fc.constant('started_at' as const), op: fc.constantFrom('within' as const, 'outside' as const), spans: fc.array(time.map(from => ({ from, to: from + 600_000 })), { minLength: 1, maxLength: 2 }) })
  )
  await fc.assert(fc.asyncProperty(
    fc.array(fc.oneof({ weight: 3, arbitrary: filter }, timeFilter), { maxLength: 3 }),
    fc.constantFrom('', '', '404', 'DEVICES/1', '100%_d', '\\'),
    fc.constantFrom('ASC' as const, 'DESC' as const),
    fc.integer({ min: 2, max: 400 }),
    async (filters, text, order, limit) => {
      const needle = text.toLowerCase()
      const expected = records.filter(record => filters.every(filter => fulfils(record, filter)))
        .filter(record => needle === '' || record.path.toLowerCase().includes(needle) || (record.error_message ?? '').toLowerCase().includes(needle))
      if (order === 'DESC') expected.reverse()
      const found: string[] = []
      let after: string | null = null
      for (let page = 0; page < 3; page++) {
        const list = await reader.list({ filters, text, order, limit, after, includeTotal: page === 0 })
        if (page === 0 && list.total_count !== expected.length) throw new Error(`total_count ${list.total_count}, expected ${expected.length}`)
        found.push(...ids(list.data))
        if (list.has_more !== (found.length < expected.length)) throw new Error('has_more is wrong')
        if (!list.has_more) break
        after = found.at(-1) as string
      }
      const wanted = expected.slice(0, 3 * limit).map(record => record.id)
      if (found.join() !== wanted.join()) throw new Error(`found ${found.length}, expected ${wanted.length}; first difference at ${found.findIndex((id, index) => id !== wanted[index])}`)
    }
  ), { numRuns: 80 })
  t.equal(byId.size, 2000)
})

testOnBoth('finds a record by our id and by the API\'s request id, and what belongs to it', async (t, place) => {
  const records = makeRecords(300)
  const [parent, child, retry] = records.slice(0, 3) as [TrailRecord, TrailRecord, TrailRecord]
  Object.assign(child, { parent_id: parent.id })
  Object.assign(retry, { path: child.path, method: child.method, member: child.member, started_at: new Date(ms(child.started_at) + 59_000).toISOString() })
  const reader = await fill(place, records)
  t.teardown(() => reader.close())
  t.strictSame(ids(await reader.find(child.id)), [child.id])
  t.strictSame(ids(await reader.find(child.upstream_request_id as string)), [child.id])
  t.strictSame(await reader.find('0'.repeat(32)), [])
  const [item] = await reader.find(child.id) as [TrailItem]
  const related = await reader.findRelated(item)
  t.strictSame(ids(related.retries), [retry.id])
  t.equal(related.parent?.id, parent.id)
  const [parentItem] = await reader.find(parent.id) as [TrailItem]
  t.strictSame(ids((await reader.findRelated(parentItem)).children), [child.id])
})

testOnBoth('an unknown `after` is the client\'s mistake', async (t, place) => {
  const reader = await fill(place, makeRecords(3))
  t.teardown(() => reader.close())
  await t.rejects(reader.list(parseListQuery(`after=${'0'.repeat(32)}`)), { type: 'validation_error', fields: [{ name: 'after' }] } as never)
})

testOnBoth('adds up counts, errors and percentiles over time', async (t, place) => {
  const records = makeRecords(2000)
  const reader = await fill(place, records)
  t.teardown(() => reader.close())
  const { filters } = parseListQuery('started_at__gte=2026-03-01T00:30Z&started_at__lte=2026-03-01T01:00Z&member__neq=lou')
  const series = await reader.series({ filters, text: '', buckets: 10 })
  const expected = records.filter(record => filters.every(filter => fulfils(record, filter)))
  t.ok(expected.length > 50)
  t.equal(series.interval_ms, 300_000)
  t.equal(series.from, '2026-03-01T00:30:00.000Z')
  t.equal(series.total.count, expected.length)
  t.equal(series.buckets.reduce((sum, bucket) => sum + bucket.count, 0), expected.length)
  for (const bucket of series.buckets) {
    const inside = expected.filter(record => ms(record.started_at) >= ms(bucket.at) && ms(record.started_at) < ms(bucket.at) + 300_000)
    t.equal(bucket.count, inside.length)
    t.equal(bucket.errors, inside.filter(record => (record.status ?? 0) >= 400).length)
    t.equal(bucket.status['2xx'], inside.filter(record => record.status === 200).length)
    t.equal(bucket.status.none, inside.filter(record => record.status === null).length)
    const durations = inside.map(record => record.duration_ms as number).sort((a, b) => a - b)
    for (const [share, value] of [[0.5, bucket.p50_ms], [0.95, bucket.p95_ms], [0.99, bucket.p99_ms]] as const) {
      const exact = durations[Math.ceil(durations.length * share) - 1]
      t.ok(exact === undefined ? value === null : Math.abs((value as number) - exact) <= exact * 0.1, `${value} is near ${exact}`)
    }
    t.equal(bucket.max_ms, durations.at(-1) ?? null)
  }
  const empty = await reader.series({ ...parseListQuery('started_at__gte=2031'), buckets: 10 })
  t.equal(empty.total.count, 0)
})

test('a duration\'s group stands for it within ten per cent', t => {
  const groups: Array<[number, number]> = [[0, 0], [50, 0.5], [199, 9.9], [210, 10], [299, 99], [312, 120], [450, 5000], [599, 99_000], [699, 990_000]]
  for (const [bin, duration] of groups) t.equal(decodeBin(bin), duration)
  t.end()
})
