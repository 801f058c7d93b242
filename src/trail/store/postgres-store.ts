import { Kysely, PostgresDialect, sql, type RawBuilder, type Transaction } from 'kysely'
import { Migrator } from 'kysely/migration'
import pg from 'pg'
import { outcomeFields } from '../lines.ts'
import { BlockKeeper, blockRows, describeOutcome, type ZoneValue } from './blocks.ts'
import { listMigrations } from './migrations.ts'
import { columnIndex, columns, numericTypes, type Schema, type ZoneRow } from './schema.ts'
import type { Batch, Store, StoredPosition, StoreFault, Value } from './store.ts'

export interface PostgresOptions {
  url: string
  connectTimeoutMs?: number
  statementTimeoutMs?: number
}

/** Any number, the same in all instances. */
const writersLock = 7_300_471_192

const finished = outcomeFields.filter(name => !name.startsWith('async_'))
const learned = outcomeFields.filter(name => name.startsWith('async_'))

/** A database that several instances share. Batches go as arrays, one per column: few parameters, one plan. */
export class PostgresStore implements Store {
  readonly db: Kysely<Schema>
  #blocks: BlockKeeper | undefined

  constructor (options: PostgresOptions) {
    this.db = connectPostgres(options)
  }

  async open (): Promise<void> {
    const migrator = new Migrator({ db: this.db, provider: { getMigrations: async () => listMigrations('postgres') } })
    const { error } = await migrator.migrateToLatest()
    if (error !== undefined) throw error
  }

  async findPosition (journalId: string): Promise<StoredPosition | undefined> {
    return this.db.selectFrom('trail_position').select(['segment', 'bytes']).where('journal', '=', journalId).executeTakeFirst()
  }

  async apply (batch: Batch): Promise<void> {
    try {
      await this.db.transaction().execute(trx => this.#write(trx, batch))
    } catch (error) {
      this.#blocks = undefined
      throw error
    }
  }

  async #write (trx: Transaction<Schema>, { journalId, rows, outcomes, amendments, position, nowMs }: Batch): Promise<void> {
    // One instance after the other, so that rows become visible in the order of `seq`: whoever pages or tails misses none.
    await sql`select pg_advisory_xact_lock(${writersLock})`.execute(trx)
    this.#blocks ??= new BlockKeeper()
    if (rows.length > 0) await this.#insert(trx, rows)
    if (outcomes.length > 0) await this.#finish(trx, outcomes)
    if (amendments.length > 0) await amend(trx, amendments)
    await trx.insertInto('trail_position').values({ journal: journalId, ...position, seen_at: nowMs })
      .onConflict(conflict => conflict.column('journal').doUpdateSet({ ...position, seen_at: nowMs })).execute()
  }

  async #insert (trx: Transaction<Schema>, rows: Value[][]): Promise<void> {
    const takeOver = [...finished, 'notes'].map(name => sql`${sql.ref(name)} = excluded.${sql.ref(name)}`)
      .concat(learned.map(name => sql`${sql.ref(name)} = coalesce(excluded.${sql.ref(name)}, trail.${sql.ref(name)})`))
    const { rows: written } = await sql<{ seq: number, id: string, is_new: boolean }>`
      insert into trail (${sql.join(columns.map(name => sql.ref(name)))})
      select * from ${unnest(columns, rows)}
      on conflict (id) do update set ${sql.join(takeOver)} where excluded.outcome <> 'open'
      returning seq, id, xmax = 0 as is_new`.execute(trx)
    const bySeq = new Map(written.map(({ id, ...row }) => [id, row]))
    const added = rows.flatMap(row => {
      const found = bySeq.get(row[columnIndex.id] as string)
      return found?.is_new ? [{ seq: found.seq, row }] : []
    }).sort((a, b) => a.seq - b.seq)
    const zones: ZoneRow[] = []
    for (let from = 0; from < added.length; from += blockRows) zones.push(...await this.#noteBlock(trx, added.slice(from, from + blockRows)))
    await addZones(trx, zones)
    // Rows that were there already (a replay) took over outcomes that their blocks may not know.
    const old = rows.flatMap(row => {
      const found = bySeq.get(row[columnIndex.id] as string)
      return found === undefined || found.is_new ? [] : [{ seq: found.seq, outcome: row.slice(columnIndex.outcome), notes: row[columnIndex.notes] as string }]
    })
    await this.#noteOutcomes(trx, old)
  }

  async #noteBlock (trx: Transaction<Schema>, added: Array<{ seq: number, row: Value[] }>): Promise<ZoneRow[]> {
    const blocks = this.#blocks as BlockKeeper
    const { id, row, added: news } = blocks.extend(added[0]?.seq as number, added.at(-1)?.seq as number, added.map(({ row }) => row))
    const grown = id === undefined ? undefined : await trx.updateTable('trail_block').set(row).where('id', '=', id).executeTakeFirst()
    // Retention may have taken the block away meanwhile; then it comes anew.
    const isKnown = grown !== undefined && grown.numUpdatedRows > 0n
    const block = isKnown ? id as number : (await trx.insertInto('trail_block').values(row).returning('id').executeTakeFirstOrThrow()).id
    blocks.noteId(block)
    return (isKnown ? news : blocks.listValues()).map(value => ({ ...value, block }))
  }

  async #finish (trx: Transaction<Schema>, outcomes: Value[][]): Promise<void> {
    const names = [...outcomeFields, 'notes', 'id']
    const set = [...finished, 'notes'].map(name => sql`${sql.ref(name)} = given.${sql.ref(name)}`).concat(learned.map(coalesce))
    const { rows } = await sql<{ seq: number, id: string }>`update trail set ${sql.join(set)} from ${unnest(names, outcomes)} where trail.id = given.id returning trail.seq, trail.id`.execute(trx)
    const byId = new Map(outcomes.map(outcome => [outcome.at(-1), outcome]))
    await this.#noteOutcomes(trx, rows.map(({ seq, id }) => {
      const outcome = byId.get(id) as Value[]
      return { seq, outcome, notes: outcome.at(-2) as string }
    }))
  }

  async #noteOutcomes (trx: Transaction<Schema>, noted: Array<{ seq: number, outcome: Value[], notes: string }>): Promise<void> {
    const zones: ZoneRow[] = []
    const unknown = []
    for (const { seq, outcome, notes } of noted) {
      const described = describeOutcome(outcome, notes)
      const news = this.#blocks?.learn(seq, described.values, described.durationMs)
      if (news === undefined) unknown.push({ seq, ...described })
      else zones.push(...news.added.map(value => ({ ...value, block: news.id })))
      if (news?.maxDurationMs !== undefined) await trx.updateTable('trail_block').set({ max_duration_ms: news.maxDurationMs }).where('id', '=', news.id).execute()
    }
    await addZones(trx, zones)
    if (unknown.length > 0) await findBlocks(trx, unknown)
  }

  /** Files don't shrink when rows go, so this is what the rows that are there take, indexes included. */
  async measure (): Promise<number> {
    const { rows: [size] } = await sql<{ bytes: number | null }>`
      select (select coalesce(sum(rows), 0) from trail_block)
        * (select coalesce(avg(pg_column_size(t.*)), 0) from (select * from trail order by seq desc limit 500) t)
        * (1 + pg_indexes_size('trail')::float8 / greatest(pg_relation_size('trail'), 8192)) as bytes`.execute(this.db)
    return Math.round(Number(size?.bytes ?? 0))
  }

  /** PostgreSQL does that itself. */
  async shrink (): Promise<void> {}

  async close (): Promise<void> {
    await this.db.destroy()
  }
}

export function connectPostgres ({ url, connectTimeoutMs = 4000, statementTimeoutMs = 30_000 }: PostgresOptions): Kysely<Schema> {
  const pool = new pg.Pool({
    connectionString: url,
    max: 2,
    application_name: 'izuma-proxy trail',
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + 5000, // a network that swallows packets
    keepAlive: true,
    types: { getTypeParser: parserOf }
  })
  // A connection that breaks while idle is replaced with the next query; without a listener it would end the process.
  pool.on('error', () => {})
  // So with one that is held between two queries: the next one says so to whoever asked.
  pool.on('connect', client => client.on('error', () => {}))
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
}

/** bigint and numeric as numbers: all of ours are below 2^53. */
const numberTypes = new Set([20, 1700])
function parserOf (oid: number, format?: 'text' | 'binary') {
  return numberTypes.has(oid) ? Number : pg.types.getTypeParser(oid, format as 'text')
}

/** Rows as a table, from one array a column. */
function unnest (names: readonly string[], rows: Value[][]): RawBuilder<unknown> {
  const arrays = names.map((name, index) => sql`${rows.map(row => row[index] ?? null)}::${sql.raw(`${numericTypes[name as 'status'] ?? 'text'}[]`)}`)
  return sql`unnest(${sql.join(arrays)}) as given (${sql.join(names.map(name => sql.ref(name)))})`
}

/** For rows of blocks that aren't remembered: from before a restart, or of long ago. */
async function findBlocks (trx: Transaction<Schema>, unknown: Array<{ seq: number, values: ZoneValue[], durationMs: number }>): Promise<void> {
  const values = unknown.flatMap(({ seq, values }) => values.map(value => ({ seq, ...value })))
  await sql`insert into trail_zone (field, value, block)
    select distinct given.field, given.value, trail_block.id
    from unnest(${values.map(({ field }) => field)}::text[], ${values.map(({ value }) => value)}::text[], ${values.map(({ seq }) => seq)}::bigint[]) as given (field, value, seq)
    join trail_block on trail_block.first_seq <= given.seq and trail_block.last_seq >= given.seq
    on conflict do nothing`.execute(trx)
  await sql`update trail_block set max_duration_ms = longest.duration
    from (select trail_block.id, max(given.duration) as duration
      from unnest(${unknown.map(({ seq }) => seq)}::bigint[], ${unknown.map(({ durationMs }) => durationMs)}::double precision[]) as given (seq, duration)
      join trail_block on trail_block.first_seq <= given.seq and trail_block.last_seq >= given.seq group by trail_block.id) longest
    where trail_block.id = longest.id and longest.duration > max_duration_ms`.execute(trx)
}

async function addZones (trx: Transaction<Schema>, zones: ZoneRow[]): Promise<void> {
  if (zones.length === 0) return
  await trx.insertInto('trail_zone').values(zones).onConflict(conflict => conflict.doNothing()).execute()
}

async function amend (trx: Transaction<Schema>, amendments: Value[][]): Promise<void> {
  await sql`update trail set ${sql.join(learned.map(coalesce))} from ${unnest([...learned, 'id'], amendments)} where trail.id = given.id`.execute(trx)
}

function coalesce (name: string): RawBuilder<unknown> {
  return sql`${sql.ref(name)} = coalesce(given.${sql.ref(name)}, trail.${sql.ref(name)})`
}

const networkErrors = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EPIPE', 'ENOENT', 'EHOSTUNREACH', 'ENETUNREACH'])
const faults: Array<[pattern: RegExp, fault: StoreFault]> = [[/^(08|57)/, 'unreachable'], [/^25006$/, 'readonly'], [/^53/, 'full'], [/^(40|55)/, 'busy'], [/^XX00[12]$/, 'corrupt']]

/** By SQLSTATE, or the system's code for what didn't get as far as the server. */
export function classifyPostgresError (error: unknown): StoreFault {
  const code = (error as { code?: string }).code
  if (code === undefined || networkErrors.has(code)) return 'unreachable'
  return faults.find(([pattern]) => pattern.test(code))?.[1] ?? 'other'
}
