import { sql, type Expression, type ExpressionBuilder, type RawBuilder, type SqlBool } from 'kysely'
import type { Schema } from '../store/schema.ts'
import { fields, type Field } from './fields.ts'
import type { Conditions, Filter, FilterValue } from './parse.ts'
import { everything, type Run } from './runs.ts'

export type StoreKind = 'sqlite' | 'postgres'

type Builder = ExpressionBuilder<Schema, 'trail'>

/** The conditions as SQL. */
export function buildConditions (eb: Builder, kind: StoreKind, { filters, text }: Conditions): Array<Expression<SqlBool>> {
  const conditions = filters.map(filter => buildFilter(eb, filter))
  if (text !== '') conditions.push(buildTextSearch(kind, text))
  return conditions
}

/**
 * `trail`, cut down to some runs. Several become a table of their own that drives the query (`cross join` is what keeps
 * SQLite from turning that around).
 */
export function buildSource (kind: StoreKind, runs: Run[]): { from: RawBuilder<unknown>, conditions: Array<RawBuilder<SqlBool>> } {
  const [run = everything] = runs
  if (runs.length > 1) return { from: sql`${buildRunTable(kind, runs)} cross join trail`, conditions: [sql<SqlBool>`trail.seq >= run.least`, sql<SqlBool>`trail.seq <= run.most`] }
  const conditions = []
  if (run.least > everything.least) conditions.push(sql<SqlBool>`trail.seq >= ${run.least}`)
  if (run.most < everything.most) conditions.push(sql<SqlBool>`trail.seq <= ${run.most}`)
  return { from: sql`trail`, conditions }
}

function buildRunTable (kind: StoreKind, runs: Run[]): RawBuilder<unknown> {
  if (kind === 'postgres') return sql`unnest(${runs.map(run => run.least)}::bigint[], ${runs.map(run => run.most)}::bigint[]) as run (least, most)`
  const json = JSON.stringify(runs.map(({ least, most }) => [least, most]))
  return sql`(select json_extract(value, '$[0]') as least, json_extract(value, '$[1]') as most from json_each(${json})) as run`
}

export function joinConditions (conditions: Array<Expression<SqlBool>>): RawBuilder<SqlBool> {
  return conditions.length === 0 ? sql<SqlBool>`true` : sql<SqlBool>`${sql.join(conditions, sql` and `)}`
}

function buildFilter (eb: Builder, filter: Filter): Expression<SqlBool> {
  const column = sql.ref(filter.field)
  switch (filter.op) {
    case 'gte': return sql<SqlBool>`${column} >= ${filter.value}`
    case 'lte': return sql<SqlBool>`${column} <= ${filter.value}`
    case 'in': return eb.or(listConditions(filter.field, column, filter.values))
    case 'nin': return eb.not(eb.or(listConditions(filter.field, column, filter.values).map(condition => sql<SqlBool>`coalesce(${condition}, false)`)))
    case 'within': return eb.or(filter.spans.map(({ from, to }) => sql<SqlBool>`(${column} >= ${from} and ${column} < ${to})`))
    case 'outside': return eb.and(filter.spans.map(({ from, to }) => sql<SqlBool>`(${column} < ${from} or ${column} >= ${to})`))
  }
}

function listConditions (field: Field, column: RawBuilder<unknown>, values: FilterValue[]): Array<RawBuilder<SqlBool>> {
  const given = values.filter(value => value !== null)
  const conditions = given.length === 0 ? [] : [sql<SqlBool>`(${column} in (${sql.join(given)})${sql.raw(partlyIndexed.has(field) ? ` and ${field} <> ''` : '')})`]
  if (given.length < values.length) conditions.push(emptyCondition(field, column))
  return conditions
}

/** Their index leaves out what is empty, and no database sees by itself that a parameter isn't. */
const partlyIndexed = new Set<Field>(['parent_id', 'trace_id'])

function emptyCondition (field: Field, column: RawBuilder<unknown>): RawBuilder<SqlBool> {
  return fields[field].type === 'text' ? sql<SqlBool>`(${column} is null or ${column} = '')` : sql<SqlBool>`${column} is null`
}

function buildTextSearch (kind: StoreKind, text: string): Expression<SqlBool> {
  const pattern = `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`
  const like = sql.raw(kind === 'sqlite' ? 'like' : 'ilike')
  return sql<SqlBool>`(path ${like} ${pattern} escape '\\' or error_message ${like} ${pattern} escape '\\')`
}
