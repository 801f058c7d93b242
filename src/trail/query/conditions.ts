import { sql, type Expression, type ExpressionBuilder, type RawBuilder, type SqlBool } from 'kysely'
import type { Schema } from '../store/schema.ts'
import { fields, type Field } from './fields.ts'
import type { Conditions, Filter, FilterValue } from './parse.ts'
import { everything, type Run } from './runs.ts'

export type StoreKind = 'sqlite' | 'postgres'

type Builder = ExpressionBuilder<Schema, 'trail'>

/** The conditions as SQL. */
export function buildConditions (eb: Builder, kind: StoreKind, { filters, text }: Conditions, range: Run): Array<Expression<SqlBool>> {
  const conditions = filters.map(filter => buildFilter(eb, filter))
  if (text !== '') conditions.push(buildTextSearch(kind, text))
  if (range.least > everything.least) conditions.push(eb('seq', '>=', range.least))
  if (range.most < everything.most) conditions.push(eb('seq', '<=', range.most))
  return conditions
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
