import { matches, readFilters } from './filters.ts'
import type { Filter } from './filters.ts'

/** What a list request asks for. */
export interface ListQuery {
  /** 2 to 1000; what lies outside is set to the closest limit, as the API does. Default 50. */
  limit: number
  /** The id of the item after which to go on. */
  after: string | undefined
  order: 'ASC' | 'DESC'
  totalCount: boolean
  filters: Filter[]
}

export interface Page<T> {
  object: 'list'
  limit: number
  after: string | null
  order: 'ASC' | 'DESC'
  has_more: boolean
  total_count?: number
  data: T[]
}

export function readListQuery (query: URLSearchParams, defaultLimit = 50): ListQuery {
  return {
    limit: readLimit(query.get('limit'), defaultLimit),
    after: query.get('after') || undefined,
    order: query.get('order')?.toUpperCase() === 'DESC' ? 'DESC' : 'ASC',
    totalCount: (query.get('include') ?? '').split(',').includes('total_count'),
    filters: readFilters(query)
  }
}

function readLimit (text: string | null, otherwise: number): number {
  const limit = text === null || text === '' ? otherwise : Number(text)
  return Number.isInteger(limit) ? Math.min(1000, Math.max(2, limit)) : otherwise
}

/** One page of items that are in ascending order of their ids. An unknown `after` starts at the beginning. */
export function pageOf<T extends { id: string }> (items: readonly T[], query: ListQuery): Page<T> {
  const found = items.filter(item => matches(item as T & Record<string, unknown>, query.filters))
  if (query.order === 'DESC') found.reverse()
  const start = query.after === undefined ? 0 : found.findIndex(item => item.id === query.after) + 1
  return makePage(query, found.slice(start, start + query.limit), start + query.limit < found.length, found.length)
}

export function makePage<T> (query: ListQuery, data: T[], hasMore: boolean, total: number): Page<T> {
  return {
    object: 'list',
    limit: query.limit,
    after: query.after ?? null,
    order: query.order,
    has_more: hasMore,
    ...query.totalCount ? { total_count: total } : {},
    data
  }
}
