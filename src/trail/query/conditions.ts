import { sql, type Expression, type ExpressionBuilder, type Kysely, type RawBuilder, type SqlBool } from 'kysely'
import type { Schema } from '../store/schema.ts'
import { fields, type Field } from './fields.ts'
import type { Conditions, Filter, FilterValue } from './parse.ts'

export type StoreKind = 'sqlite' | 'postgres'

/** Records whose place in the trail's order is from `least` to `most`. */
export interface SeqRange { least: number, most: number }

export const everything: SeqRange = { least: 0, most: Number.MAX_SAFE_INTEGER }

type Builder = ExpressionBuilder<Schema, 'trail'>

/** The conditions as SQL, but for `except`, whose index is to be used: the others must not tempt SQLite to use theirs. */
export function buildConditions (eb: Builder, kind: StoreKind, { filters, text }: Conditions, range: SeqRange, except?: Filter): Array<Expression<SqlBool>> {
  const demoted = except !== undefined && kind === 'sqlite'
  const conditions = filters.filter(filter => filter !== except).map(filter => buildFilter(eb, filter, demoted))
  if (text !== '') conditions.push(buildTextSearch(kind, text))
  if (range.least > everything.least) conditions.push(eb('seq', '>=', range.least))
  if (range.most < everything.most) conditions.push(eb('seq', '<=', range.most))
  return conditions
}

function buildFilter (eb: Builder, filter: Filter, demoted: boolean): Expression<SqlBool> {
  const column = refer(filter.field, demoted)
  switch (filter.op) {
    case 'gte': return sql<SqlBool>`${column} >= ${filter.value}`
    case 'lte': return sql<SqlBool>`${column} <= ${filter.value}`
    case 'in': return eb.or(listConditions(filter.field, column, filter.values))
    case 'nin': return eb.not(eb.or(listConditions(filter.field, column, filter.values).map(condition => sql<SqlBool>`coalesce(${condition}, false)`)))
    case 'within': return eb.or(filter.spans.map(({ from, to }) => sql<SqlBool>`(${column} >= ${from} and ${column} < ${to})`))
    case 'outside': return eb.and(filter.spans.map(({ from, to }) => sql<SqlBool>`(${column} < ${from} or ${column} >= ${to})`))
  }
}

/** SQLite uses no index for `+column`. */
function refer (field: Field, demoted: boolean): RawBuilder<unknown> {
  return demoted ? sql`+${sql.ref(field)}` : sql`${sql.ref(field)}`
}

function listConditions (field: Field, column: RawBuilder<unknown>, values: FilterValue[]): Array<RawBuilder<SqlBool>> {
  const given = values.filter(value => value !== null)
  const conditions = given.length === 0 ? [] : [sql<SqlBool>`${column} in (${sql.join(given)})`]
  if (given.length < values.length) conditions.push(emptyCondition(field, column))
  return conditions
}

function emptyCondition (field: Field, column: RawBuilder<unknown>): RawBuilder<SqlBool> {
  return fields[field].type === 'text' ? sql<SqlBool>`(${column} is null or ${column} = '')` : sql<SqlBool>`${column} is null`
}

function buildTextSearch (kind: StoreKind, text: string): Expression<SqlBool> {
  const pattern = `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`
  const like = sql.raw(kind === 'sqlite' ? 'like' : 'ilike')
  return sql<SqlBool>`(path ${like} ${pattern} escape '\\' or error_message ${like} ${pattern} escape '\\')`
}

/**
 * The part of the order in which records with fitting times can be, by the blocks; `undefined` when there is none. The
 * filters on time themselves still have to be checked.
 */
export async function findRange (db: Kysely<Schema>, filters: Filter[]): Promise<SeqRange | undefined> {
  const range = { ...everything }
  for (const { from, to } of listTimes(filters)) {
    const { least, most } = await db.selectFrom('trail_block')
      .select(({ fn }) => [fn.min('first_seq').as('least'), fn.max('last_seq').as('most')])
      .where('max_started_at', '>=', from).where('min_started_at', '<=', to)
      .executeTakeFirstOrThrow() as { least: number | null, most: number | null }
    if (least === null || most === null) return undefined
    range.least = Math.max(range.least, least)
    range.most = Math.min(range.most, most)
  }
  return range
}

function listTimes (filters: Filter[]): Array<{ from: number, to: number }> {
  return filters.flatMap(filter => {
    if (filter.field !== 'started_at') return []
    if (filter.op === 'gte') return [{ from: Number(filter.value), to: Number.MAX_SAFE_INTEGER }]
    if (filter.op === 'lte') return [{ from: 0, to: Number(filter.value) }]
    if (filter.op !== 'within') return []
    return [{ from: Math.min(...filter.spans.map(span => span.from)), to: Math.max(...filter.spans.map(span => span.to)) }]
  })
}
