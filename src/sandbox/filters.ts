/**
 * The filters of the API's lists: `field__eq|neq|in|nin|lte|gte=value`, or all of them percent-encoded a second time in
 * one `filter=`, where `field=value` means equality. Pure.
 */

export type Operator = 'eq' | 'neq' | 'in' | 'nin' | 'lte' | 'gte'

export interface Filter {
  field: string
  /** For `custom_attributes__tag`: the key inside the field. */
  key: string | undefined
  operator: Operator
  values: string[]
}

const operators: ReadonlySet<string> = new Set(['eq', 'neq', 'in', 'nin', 'lte', 'gte'])
const objectFields: ReadonlySet<string> = new Set(['custom_attributes', 'component_attributes'])
const pagingParameters: ReadonlySet<string> = new Set(['limit', 'after', 'order', 'include', 'filter'])

/** Every filter of a query; parameters that are none are passed over. */
export function readFilters (query: URLSearchParams): Filter[] {
  const filters: Filter[] = []
  for (const [name, value] of query) {
    if (name === 'filter') filters.push(...readInner(value))
    else if (!pagingParameters.has(name) && name.includes('__')) addFilter(filters, name, value)
  }
  return filters
}

/** URLSearchParams has taken off the outer encoding; what is left is a query of its own. */
function readInner (value: string): Filter[] {
  const filters: Filter[] = []
  for (const [name, inner] of new URLSearchParams(value)) addFilter(filters, name, inner)
  return filters
}

function addFilter (filters: Filter[], name: string, value: string): void {
  const [field = '', ...rest] = name.split('__')
  const last = rest.at(-1) ?? ''
  const operator = operators.has(last) ? last as Operator : 'eq'
  const inner = operators.has(last) ? rest.slice(0, -1) : rest
  if (field === '' || (inner.length > 0 && !objectFields.has(field))) return
  const values = operator === 'in' || operator === 'nin' ? value.split(',') : [value]
  filters.push({ field, key: inner.length > 0 ? inner.join('__') : undefined, operator, values })
}

export function matches (item: Record<string, unknown>, filters: Filter[]): boolean {
  return filters.every(filter => test(item, filter))
}

function test (item: Record<string, unknown>, { field, key, operator, values }: Filter): boolean {
  const held = key === undefined ? item[field] : (item[field] as Record<string, unknown> | undefined)?.[key]
  switch (operator) {
    case 'eq': return equals(held, values[0] ?? '')
    case 'neq': return !equals(held, values[0] ?? '')
    case 'in': return values.some(value => equals(held, value))
    case 'nin': return !values.some(value => equals(held, value))
    case 'lte': return compare(held, values[0] ?? '') <= 0
    case 'gte': return compare(held, values[0] ?? '') >= 0
  }
}

function equals (held: unknown, value: string): boolean {
  if (held === undefined || held === null) return value === '' || value === 'null'
  if (Array.isArray(held)) return held.includes(value)
  return String(held) === value || (typeof held === 'string' && isTime(held) && isTime(value) && timeOf(held) === timeOf(value))
}

/** NaN, which is neither ≤ nor ≥ anything, when the two cannot be compared. */
function compare (held: unknown, value: string): number {
  if (typeof held === 'number') return held - Number(value)
  if (typeof held !== 'string') return NaN
  if (isTime(held) && isTime(value)) return timeOf(held) - timeOf(value)
  return held < value ? -1 : Number(held > value)
}

const long = /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z)?$/
const short = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/

/** The three ways the API takes a time: RFC 3339 with and without fraction, and without punctuation. */
function isTime (text: string): boolean { return long.test(text) || short.test(text) }

function timeOf (text: string): number { return Date.parse(text.replace(short, '$1-$2-$3T$4:$5:$6Z')) }
