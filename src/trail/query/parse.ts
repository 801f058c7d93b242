import { suggest } from '../../config/load.ts'
import { proxyError, type FieldFault } from '../../errors.ts'
import { isId } from '../identifiers.ts'
import { parseDate, type Span } from './dates.ts'
import { fieldNames, fields, isField, type Field } from './fields.ts'

export type FilterValue = string | number | null

/** What a record has to fulfil; all filters of a query together. `null` among the values: not known, or empty. */
export type Filter =
  | { field: Field, op: 'in' | 'nin', values: FilterValue[] }
  | { field: Field, op: 'gte' | 'lte', value: string | number }
  | { field: 'started_at', op: 'within' | 'outside', spans: Span[] }

export interface Conditions {
  filters: Filter[]
  /** Text to be found in the path or the error message; empty: none. */
  text: string
}

export interface ListQuery extends Conditions {
  limit: number
  /** Id of the last record seen. */
  after: string | null
  order: 'ASC' | 'DESC'
  includeTotal: boolean
}

/** Parameters of an endpoint beside those of every list, with what they mean. Faults are thrown as text. */
export type Extras = Record<string, (value: string) => void>

const operators = ['eq', 'neq', 'in', 'nin', 'gte', 'lte'] as const
type Operator = typeof operators[number]

const limits = { least: 2, usual: 50, most: 1000 }
const mostValues = 100
const longestText = 200

/**
 * Parses a query string by the API's own conventions for lists: `limit`, `after`, `order`, `include=total_count`,
 * `field__eq|neq|in|nin|gte|lte` (or bare `field`, or all of them encoded in `filter=`); and `q`, ours, for text search.
 * A limit out of range is clamped, as the API does. Throws `validation_error` that names every wrong parameter.
 */
export function parseListQuery (queryString: string, extras: Extras = {}): ListQuery {
  const query: ListQuery = { filters: [], text: '', limit: limits.usual, after: null, order: 'ASC', includeTotal: false }
  const faults: FieldFault[] = []
  const setters = { ...listSetters(query), ...extras }
  for (const [name, value] of new URLSearchParams(queryString)) {
    try {
      if (Object.hasOwn(setters, name)) setters[name]?.(value)
      else if (name === 'filter') query.filters.push(...parseEncoded(value))
      else query.filters.push(parseFilter(name, value, Object.keys(setters)))
    } catch (fault) {
      faults.push({ name, message: (fault as Error).message })
    }
  }
  if (faults.length > 0) throw proxyError('validation_error', { fields: faults })
  return query
}

function listSetters (query: ListQuery): Extras {
  return {
    limit: value => { query.limit = parseLimit(value) },
    after: value => {
      if (!isId(value)) throw new Error('Must be the id of a record: 32 hexadecimal digits.')
      query.after = value
    },
    order: value => {
      const order = value.toUpperCase()
      if (order !== 'ASC' && order !== 'DESC') throw new Error('Must be ASC or DESC.')
      query.order = order
    },
    include: value => {
      const names = value.split(',').filter(name => name !== '')
      if (names.some(name => name !== 'total_count')) throw new Error('Can only be total_count.')
      query.includeTotal = names.length > 0
    },
    q: value => {
      if (value.length > longestText) throw new Error(`Is longer than ${longestText} characters.`)
      query.text = value.trim()
    }
  }
}

function parseLimit (value: string): number {
  if (!/^[+-]?\d{1,15}$/.test(value)) throw new Error(`Must be a whole number from ${limits.least} to ${limits.most}.`)
  return Math.min(limits.most, Math.max(limits.least, Number(value)))
}

/** `filter=` holds a query string of its own, encoded once more. The vendor's SDK sends it empty. */
function parseEncoded (value: string): Filter[] {
  return [...new URLSearchParams(value)].map(([name, inner]) => parseFilter(name, inner, []))
}

function parseFilter (name: string, value: string, others: string[]): Filter {
  const cut = name.lastIndexOf('__')
  const field = cut < 0 ? name : name.slice(0, cut)
  const operator = cut < 0 ? 'eq' : name.slice(cut + 2)
  if (!isField(field)) throw new Error(describeUnknown(field, others))
  if (!operators.includes(operator as Operator)) throw new Error(`No such operator: ${operators.map(known => `__${known}`).join(', ')}.`)
  return fields[field].type === 'date' ? dateFilter(operator as Operator, value) : valueFilter(field, operator as Operator, value)
}

function describeUnknown (field: string, others: string[]): string {
  const nearest = suggest(field, [...fieldNames, ...others])
  return `No such parameter.${nearest === undefined ? '' : ` Did you mean ${nearest}?`}`
}

function valueFilter (field: Field, operator: Operator, value: string): Filter {
  if (operator === 'gte' || operator === 'lte') {
    const bound = parseValue(field, value)
    if (bound === null) throw new Error('Needs a value.')
    return { field, op: operator, value: bound }
  }
  const values = operator === 'in' || operator === 'nin' ? splitList(value) : [value]
  return { field, op: operator === 'eq' || operator === 'in' ? 'in' : 'nin', values: values.map(item => parseValue(field, item)) }
}

function splitList (value: string): string[] {
  const items = value.split(',')
  if (items.length > mostValues) throw new Error(`Has more than ${mostValues} values.`)
  return items
}

function parseValue (field: Field, value: string): FilterValue {
  const { type, values } = fields[field]
  if (value === '') return null
  if (type === 'text') {
    if (values !== undefined && !values.includes(value)) throw new Error(`Must be one of ${values.join(', ')}.`)
    return value
  }
  const number = Number(value)
  if (!/^-?\d+(\.\d+)?$/.test(value) || (type === 'integer' && !Number.isSafeInteger(number))) {
    throw new Error(type === 'integer' ? 'Must be a whole number.' : 'Must be a number.')
  }
  return number
}

function dateFilter (operator: Operator, value: string): Filter {
  const spans = (operator === 'in' || operator === 'nin' ? splitList(value) : [value]).map(requireDate)
  const [first] = spans as [Span]
  if (operator === 'gte') return { field: 'started_at', op: 'gte', value: first.from }
  if (operator === 'lte') return { field: 'started_at', op: 'lte', value: first.to - 1 }
  return { field: 'started_at', op: operator === 'eq' || operator === 'in' ? 'within' : 'outside', spans }
}

function requireDate (text: string): Span {
  // In a query string `+` means a space; an offset that wasn't encoded still means what it says.
  const span = parseDate(text.replace(/(T\S*) (\d\d:?\d\d)$/i, '$1+$2'))
  if (span === undefined) throw new Error('Must be a date as of RFC 3339, whole or truncated: 2026-01-02T03:04:05.678Z, 2026-01-02T03:04Z, 2026-01-02.')
  return span
}
