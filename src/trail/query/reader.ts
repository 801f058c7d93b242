import { sql, type Kysely } from 'kysely'
import { proxyError } from '../../errors.ts'
import type { KnownProxy } from '../bundle-context.ts'
import type { TrailRecord } from '../record.ts'
import { findProxies } from '../store/proxies.ts'
import type { Schema } from '../store/schema.ts'
import { lookForChanges, type TailCursor } from './changes.ts'
import type { StoreKind } from './conditions.ts'
import type { Conditions, ListQuery } from './parse.ts'
import { Rows, type GivenRow } from './rows.ts'
import { everything, type Run } from './runs.ts'
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

const retriesWithinMs = 60_000
const mostRetries = 20

/** Reads a store. Knows no HTTP; runs in the reading thread, and in the command line. */
export class TrailReader {
  readonly #db: Kysely<Schema>
  readonly #kind: StoreKind
  readonly #rows: Rows
  readonly #now: () => number

  constructor (db: Kysely<Schema>, kind: StoreKind, now: () => number = Date.now) {
    this.#db = db
    this.#kind = kind
    this.#rows = new Rows(db, kind)
    this.#now = now
  }

  async list (query: ListQuery): Promise<TrailList> {
    const rows = await this.#rows.readPage(query, await this.#narrow(query), query.limit + 1)
    return {
      object: 'list',
      limit: query.limit,
      after: query.after,
      order: query.order,
      has_more: rows.length > query.limit,
      ...query.includeTotal && { total_count: await this.#rows.count(query, everything) },
      data: rows.slice(0, query.limit).map(toItem)
    }
  }

  /** Everything after the record that was seen last. */
  async #narrow ({ after, order }: ListQuery): Promise<Run> {
    if (after === null) return everything
    const seq = await this.#rows.findSeq(after)
    if (seq === undefined) throw proxyError('validation_error', { fields: [{ name: 'after', message: 'No such record; it may have been deleted by age.' }] })
    return order === 'ASC' ? { ...everything, least: seq + 1 } : { ...everything, most: seq - 1 }
  }

  /** By our id or by the API's request id; of the latter there may be several (a page of a list has one each). */
  async find (id: string): Promise<TrailItem[]> {
    const own = await this.#rows.select().where('id', '=', id).execute()
    if (own.length > 0) return own.map(toItem)
    return (await this.#rows.select().where('upstream_request_id', '=', id).orderBy('seq', 'desc').limit(10).execute()).map(toItem)
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
    const children = await this.#rows.select().where('parent_id', '=', id).where(sql<boolean>`parent_id <> ''`).orderBy('seq').limit(mostRetries).execute()
    const [parent = null] = parentId === '' ? [] : await this.find(parentId)
    return { retries: retries.data.filter(item => item.id !== id), parent, children: children.map(toItem) }
  }

  /** The proxies that handled the requests of these ids. */
  findProxies (ids: string[]): Promise<KnownProxy[]> {
    return findProxies(this.#db, ids)
  }

  series (query: SeriesQuery): Promise<Series> {
    return readSeries(this.#db, this.#kind, query, this.#now())
  }

  /** Where a tail begins: now, or after a record that was seen. */
  async beginTail (after: string | null): Promise<TailCursor> {
    const seen = after === null ? undefined : await this.#rows.findSeq(after)
    return { seq: seen ?? await this.#rows.newestSeq(), open: [], passedOver: [] }
  }

  async readChanges (conditions: Conditions, cursor: TailCursor): Promise<Changes> {
    const { rows, ...rest } = await lookForChanges(this.#rows, conditions, cursor)
    return { items: rows.map(toItem), ...rest }
  }

  async close (): Promise<void> {
    await this.#db.destroy()
  }
}

function toItem ({ seq: _, started_at: startedAt, ...row }: GivenRow): TrailItem {
  return { object: 'trail-record', ...row, started_at: new Date(startedAt).toISOString() }
}
