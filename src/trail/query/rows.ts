import { expressionBuilder, sql, type Kysely, type Selectable, type SelectQueryBuilder } from 'kysely'
import type { Schema, TrailRow } from '../store/schema.ts'
import { buildConditions, buildSource, joinConditions, type StoreKind } from './conditions.ts'
import { fields } from './fields.ts'
import type { Conditions, Filter, ListQuery } from './parse.ts'
import { listRuns, type Run } from './runs.ts'

const columnsGiven = ['seq', 'id', 'started_at', 'kind', 'member', 'method', 'path', 'query', 'region', 'key_fingerprint',
  'client_address', 'client_agent', 'policy_decision', 'parent_id', 'notes', 'trace_id', 'outcome', 'status',
  'upstream_request_id', 'error_type', 'error_message', 'duration_ms', 'ttfb_ms', 'bytes_in', 'bytes_out', 'attempts',
  'close_code', 'clock_offset_ms', 'async_id', 'async_status', 'async_latency_ms'] as const

const givenColumns = sql.join(columnsGiven.map(name => sql.ref(`trail.${name}`)))

export type GivenRow = Omit<Selectable<TrailRow>, 'journal'>
type GivenQuery = SelectQueryBuilder<Schema, 'trail', GivenRow>

/** Rows of the store that fulfil conditions, by their place in the trail's order. */
export class Rows {
  readonly #db: Kysely<Schema>
  readonly #kind: StoreKind

  constructor (db: Kysely<Schema>, kind: StoreKind) {
    this.#db = db
    this.#kind = kind
  }

  select (): GivenQuery {
    return this.#db.selectFrom('trail').select(columnsGiven)
  }

  async findSeq (id: string): Promise<number | undefined> {
    const row = await this.#db.selectFrom('trail').select('seq').where('id', '=', id).executeTakeFirst()
    return row?.seq
  }

  async newestSeq (): Promise<number> {
    const { newest } = await this.#db.selectFrom('trail').select(({ fn }) => fn.max('seq').as('newest')).executeTakeFirstOrThrow()
    return newest ?? 0
  }

  async readPage (query: Pick<ListQuery, 'filters' | 'text' | 'order'>, within: Run, limit: number): Promise<GivenRow[]> {
    const rows: GivenRow[] = []
    for await (const runs of this.#listRuns(query, within, query.order)) {
      rows.push(...await this.#readRuns(query, runs, limit - rows.length))
      if (rows.length === limit) break
    }
    return rows
  }

  async count (conditions: Conditions, within: Run): Promise<number> {
    let total = 0
    for await (const runs of this.#listRuns(conditions, within, 'ASC')) {
      const source = buildSource(this.#kind, runs)
      const all = [...source.conditions, ...buildConditions(expressionBuilder<Schema, 'trail'>(), this.#kind, conditions)]
      const { rows: [row] } = await sql<{ count: number }>`select count(*) as count from ${source.from} where ${joinConditions(all)}`.execute(this.#db)
      total += Number(row?.count ?? 0)
    }
    return total
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
}

/** Its value names one record or a few. */
function isByIndex (filter: Filter): boolean {
  return fields[filter.field].lookup === 'index' && filter.op === 'in' && !filter.values.includes(null)
}
