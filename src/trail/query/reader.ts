import { expressionBuilder, sql, type Kysely, type Selectable, type SelectQueryBuilder } from 'kysely'
import { proxyError } from '../../errors.ts'
import type { TrailRecord } from '../record.ts'
import type { Schema, TrailRow } from '../store/schema.ts'
import { buildConditions, buildSource, joinConditions, type StoreKind } from './conditions.ts'
import { fields } from './fields.ts'
import type { Conditions, Filter, ListQuery } from './parse.ts'
import { everything, listRuns, type Run } from './runs.ts'
import { readSeries, type Series, type SeriesQuery } from './series.ts'

/** A record as the trail's API gives it. */
export interface TrailItem extends TrailRecord {
  object: 'trail-record'
}

export interface TrailList {
  object: 'list'
  limit: number
  after: string | null
  order: 'ASC' | 'DESC'
  has_more: boolean
  /** With `include=total_count`. */
  total_count?: number
  data: TrailItem[]
}

/** What is new since the last look. */
export interface Changes {
  /** New records, and open ones that now have an outcome; in the trail's order. */
  items: TrailItem[]
  /** To be given back the next time. */
  cursor: TailCursor
  /** More than one look may show: this many were passed over. */
  skipped: number
}

export interface TailCursor {
  seq: number
  /** Ids shown as open. */
  open: string[]
}

const columnsGiven = ['seq', 'id', 'started_at', 'kind', 'member', 'method', 'path', 'query', 'region', 'key_fingerprint',
  'client_address', 'client_agent', 'policy_decision', 'parent_id', 'notes', 'trace_id', 'outcome', 'status',
  'upstream_request_id', 'error_type', 'error_message', 'duration_ms', 'ttfb_ms', 'bytes_in', 'bytes_out', 'attempts',
  'close_code', 'clock_offset_ms', 'async_id', 'async_status', 'async_latency_ms'] as const

const givenColumns = sql.join(columnsGiven.map(name => sql.ref(`trail.${name}`)))

type GivenRow = Omit<Selectable<TrailRow>, 'journal'>
type GivenQuery = SelectQueryBuilder<Schema, 'trail', GivenRow>

/** A tail shows no more than this per look; whoever wants all of them reads the list. */
const mostChanges = 500
const retriesWithinMs = 60_000
const mostRetries = 20

/** Reads a store. Knows no HTTP; runs in the reading thread, and in the command line. */
export class TrailReader {
  readonly #db: Kysely<Schema>
  readonly #kind: StoreKind
  readonly #now: () => number

  constructor (db: Kysely<Schema>, kind: StoreKind, now: () => number = Date.now) {
    this.#db = db
    this.#kind = kind
    this.#now = now
  }

  async list (query: ListQuery): Promise<TrailList> {
    const rows = await this.#readPage(query, await this.#narrow(query), query.limit + 1)
    return {
      object: 'list',
      limit: query.limit,
      after: query.after,
      order: query.order,
      has_more: rows.length > query.limit,
      ...query.includeTotal && { total_count: await this.#count(query, everything) },
      data: rows.slice(0, query.limit).map(toItem)
    }
  }

  /** Everything after the record that was seen last. */
  async #narrow ({ after, order }: ListQuery): Promise<Run> {
    if (after === null) return everything
    const seq = await this.#findSeq(after)
    if (seq === undefined) throw proxyError('validation_error', { fields: [{ name: 'after', message: 'No such record; it may have been deleted by age.' }] })
    return order === 'ASC' ? { ...everything, least: seq + 1 } : { ...everything, most: seq - 1 }
  }

  async #findSeq (id: string): Promise<number | undefined> {
    const row = await this.#db.selectFrom('trail').select('seq').where('id', '=', id).executeTakeFirst()
    return row?.seq
  }

  async #readPage (query: Pick<ListQuery, 'filters' | 'text' | 'order'>, within: Run, limit: number): Promise<GivenRow[]> {
    const rows: GivenRow[] = []
    for await (const runs of this.#listRuns(query, within, query.order)) {
      rows.push(...await this.#readRuns(query, runs, limit - rows.length))
      if (rows.length === limit) break
    }
    return rows
  }

  #listRuns ({ filters }: Pick<Conditions, 'filters'>, within: Run, order: 'ASC' | 'DESC'): AsyncIterable<Run[]> | Run[][] {
    return filters.some(isByIndex) ? [[within]] : listRuns(this.#db, filters, within, order)
  }

  async #readRuns (query: Pick<ListQuery, 'filters' | 'text' | 'order'>, runs: Run[], limit: number): Promise<GivenRow[]> {
    const { from, conditions } = buildSource(this.#kind, runs)
    const all = [...conditions, ...buildConditions(expressionBuilder<Schema, 'trail'>(), this.#kind, query)]
    const { rows } = await sql<GivenRow>`select ${givenColumns} from ${from} where ${joinConditions(all)} order by trail.seq ${sql.raw(query.order)} limit ${limit}`.execute(this.#db)
    return rows
  }

  #select (): GivenQuery {
    return this.#db.selectFrom('trail').select(columnsGiven)
  }

  #order (select: GivenQuery, order: 'ASC' | 'DESC', limit: number): GivenQuery {
    return select.orderBy('seq', order === 'ASC' ? 'asc' : 'desc').limit(limit)
  }

  async #count (conditions: Conditions, within: Run): Promise<number> {
    let total = 0
    for await (const runs of this.#listRuns(conditions, within, 'ASC')) {
      const source = buildSource(this.#kind, runs)
      const all = [...source.conditions, ...buildConditions(expressionBuilder<Schema, 'trail'>(), this.#kind, conditions)]
      const { rows: [row] } = await sql<{ count: number }>`select count(*) as count from ${source.from} where ${joinConditions(all)}`.execute(this.#db)
      total += Number(row?.count ?? 0)
    }
    return total
  }

  /** By our id or by the API's request id; of the latter there may be several (a page of a list has one each). */
  async find (id: string): Promise<TrailItem[]> {
    const own = await this.#select().where('id', '=', id).execute()
    if (own.length > 0) return own.map(toItem)
    return (await this.#order(this.#select().where('upstream_request_id', '=', id), 'DESC', 10).execute()).map(toItem)
  }

  /** What the same member asked of the same path a minute before and after: the retries, in order. */
  async findRelated ({ id, member, method, path, started_at: startedAt, parent_id: parentId }: TrailItem): Promise<{ retries: TrailItem[], parent: TrailItem | null, children: TrailItem[] }> {
    const atMs = Date.parse(startedAt)
    const retries = await this.list({
      filters: [
        { field: 'path', op: 'in', values: [path] },
        { field: 'member', op: 'in', values: [member] },
        { field: 'method', op: 'in', values: [method] },
        { field: 'started_at', op: 'within', spans: [{ from: atMs - retriesWithinMs, to: atMs + retriesWithinMs + 1 }] }
      ],
      text: '',
      limit: mostRetries + 1,
      after: null,
      order: 'ASC',
      includeTotal: false
    })
    const children = await this.#order(this.#select().where('parent_id', '=', id).where(sql<boolean>`parent_id <> ''`), 'ASC', mostRetries).execute()
    const [parent = null] = parentId === '' ? [] : await this.find(parentId)
    return { retries: retries.data.filter(item => item.id !== id), parent, children: children.map(toItem) }
  }

  series (query: SeriesQuery): Promise<Series> {
    return readSeries(this.#db, this.#kind, query, this.#now())
  }

  /** Where a tail begins: now, or after a record that was seen. */
  async beginTail (after: string | null): Promise<TailCursor> {
    const seq = after === null ? undefined : await this.#findSeq(after)
    if (seq !== undefined) return { seq, open: [] }
    const { newest } = await this.#db.selectFrom('trail').select(({ fn }) => fn.max('seq').as('newest')).executeTakeFirstOrThrow()
    return { seq: newest ?? 0, open: [] }
  }

  async readChanges (conditions: Conditions, cursor: TailCursor): Promise<Changes> {
    const range = { ...everything, least: cursor.seq + 1 }
    const newest = await this.#readPage({ ...conditions, order: 'DESC' }, range, mostChanges + 1)
    const skipped = newest.length <= mostChanges ? 0 : await this.#count(conditions, range) - mostChanges
    const fresh = newest.slice(0, mostChanges).reverse()
    const ended = cursor.open.length === 0 ? [] : await this.#select().where('id', 'in', cursor.open).where('outcome', '<>', 'open').orderBy('seq').execute()
    const closed = new Set(ended.map(row => row.id))
    const open = [...cursor.open.filter(id => !closed.has(id)), ...fresh.filter(row => row.outcome === 'open').map(row => row.id)]
    return {
      items: [...ended, ...fresh].map(toItem),
      cursor: { seq: fresh.at(-1)?.seq ?? cursor.seq, open: open.slice(-mostChanges) },
      skipped
    }
  }

  async close (): Promise<void> {
    await this.#db.destroy()
  }
}

/** Its value names one record or a few. */
function isByIndex (filter: Filter): boolean {
  return fields[filter.field].lookup === 'index' && filter.op === 'in' && !filter.values.includes(null)
}

function toItem ({ seq: _, started_at: startedAt, ...row }: GivenRow): TrailItem {
  return { object: 'trail-record', ...row, started_at: new Date(startedAt).toISOString() }
}
