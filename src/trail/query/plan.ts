import { sql, type Kysely, type SqlBool } from 'kysely'
import type { Schema } from '../store/schema.ts'
import { buildConditions, type SeqRange, type StoreKind } from './conditions.ts'
import { fields, type Field } from './fields.ts'
import type { Conditions, Filter, FilterValue } from './parse.ts'

/**
 * How to find the first page. Databases guess badly here: that only 10 of 1,000,000 records have the status 500, or that
 * a filter and an order need two different indexes. So we look, for a few microseconds, before we ask.
 *
 * - `values`: one ordered run along the index per value, merged. Exact and quick however common or rare the values are.
 * - `range`: few enough records that sorting them costs nothing.
 * - `scan`: in order, row by row, until the page is full.
 */
export type Plan =
  | { kind: 'values', filter: Filter, field: Field, values: FilterValue[] }
  | { kind: 'range', filter: Filter }
  | { kind: 'scan' }

/** Beyond this many, records are "many"; a look costs at most that many steps along an index. */
const fewRecords = 1000
/** Sorting this many references takes some 10 ms. */
const sortableRecords = 50_000
const mostDistinct = 60

interface Candidate { plan: Plan, records: number }

export async function makePlan (db: Kysely<Schema>, kind: StoreKind, { filters }: Conditions, range: SeqRange): Promise<Plan> {
  const candidates: Candidate[] = []
  for (const filter of filters) {
    const candidate = await judge(db, kind, filter, range)
    if (candidate !== undefined) candidates.push(candidate)
  }
  candidates.sort((a, b) => a.records - b.records)
  return candidates[0]?.plan ?? { kind: 'scan' }
}

async function judge (db: Kysely<Schema>, kind: StoreKind, filter: Filter, range: SeqRange): Promise<Candidate | undefined> {
  const { field } = filter
  const { index } = fields[field]
  if (index === 'none') return undefined
  const values = listValues(filter) ?? (index === 'few' ? await findValues(db, filter) : undefined)
  if (values !== undefined) {
    let records = 0
    for (const value of values) records += await countUpTo(db, kind, { field, op: 'in', values: [value] }, range, fewRecords)
    return { plan: { kind: 'values', filter, field, values }, records }
  }
  if (filter.op !== 'gte' && filter.op !== 'lte') return undefined
  const records = await countUpTo(db, kind, filter, range, sortableRecords)
  return records < sortableRecords ? { plan: { kind: 'range', filter }, records } : undefined
}

/** Only of `status` does the index know that it is empty. */
function isNullable (field: Field): boolean {
  return field === 'status'
}

function listValues (filter: Filter): FilterValue[] | undefined {
  if (filter.op !== 'in' || (filter.values.includes(null) && !isNullable(filter.field))) return undefined
  return [...new Set(filter.values)]
}

/** Which of the few values of a field fulfil a condition on it. */
async function findValues (db: Kysely<Schema>, filter: Filter): Promise<FilterValue[] | undefined> {
  // What isn't there differs from everything, but an index of what is there doesn't list it.
  if (filter.op === 'in' || (filter.op === 'nin' && filter.field === 'error_type' && !filter.values.includes(null))) return undefined
  const distinct: FilterValue[] | undefined = await listDistinct(db, filter.field)
  if (isNullable(filter.field)) distinct?.push(null)
  return distinct?.filter(value => fulfils(filter, value))
}

function fulfils (filter: Filter, value: FilterValue): boolean {
  if (filter.op === 'nin') return !filter.values.includes(value) && !(value === '' && filter.values.includes(null))
  if (value === null) return false
  if (filter.op === 'gte') return value >= filter.value
  return filter.op === 'lte' && value <= filter.value
}

/** Hops from value to value along the index. `undefined`: there are too many. */
async function listDistinct (db: Kysely<Schema>, field: Field): Promise<Array<string | number> | undefined> {
  const column = sql.ref(field)
  const values: Array<string | number> = []
  for (;;) {
    const last = values.at(-1)
    const beyond = last === undefined ? sql<SqlBool>`${column} is not null` : sql<SqlBool>`${column} > ${last}`
    const { rows: [next] } = await sql<{ value: string | number | null }>`select min(${column}) as value from trail where ${beyond}`.execute(db)
    if (next?.value == null) return values
    if (values.length === mostDistinct) return undefined
    values.push(next.value)
  }
}

async function countUpTo (db: Kysely<Schema>, kind: StoreKind, filter: Filter, range: SeqRange, most: number): Promise<number> {
  const some = db.selectFrom('trail').select('seq').limit(most)
    .where(eb => eb.and(buildConditions(eb, kind, { filters: [filter], text: '' }, range)))
  const { count } = await db.selectFrom(some.as('some')).select(({ fn }) => fn.countAll<number>().as('count')).executeTakeFirstOrThrow()
  return Number(count)
}
