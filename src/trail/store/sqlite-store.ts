import { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'
import { chmodSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { outcomeFields } from '../lines.ts'
import { makeFolder } from '../segments.ts'
import { BlockKeeper, blockRows, describeOutcome } from './blocks.ts'
import { listMigrations } from './migrations.ts'
import { columnIndex, columns, type Schema } from './schema.ts'
import { NodeSqliteDialect } from './sqlite-dialect.ts'
import type { Batch, Store, StoredPosition, StoreFault, Value } from './store.ts'

export interface SqliteOptions {
  path: string
  /** Each commit waits for the disk. */
  sync: boolean
  /** How long to wait for another process's lock. */
  busyTimeoutMs?: number
}

const usualBusyTimeoutMs = 1000
/** Another instance may be making the tables on a slow disk. */
const migrationBusyTimeoutMs = 10_000

/** One file, written by one connection in this thread; readers have connections of their own (WAL). */
export class SqliteStore implements Store {
  readonly db: Kysely<Schema>
  readonly #database: DatabaseSync
  readonly #options: SqliteOptions
  #statements: Statements | undefined
  #blocks: BlockKeeper | undefined

  constructor (options: SqliteOptions) {
    this.#options = options
    this.#database = new DatabaseSync(options.path, { open: false, timeout: migrationBusyTimeoutMs })
    this.db = new Kysely<Schema>({ dialect: new NodeSqliteDialect(this.#database) })
  }

  async open (): Promise<void> {
    const { path, sync, busyTimeoutMs } = this.#options
    makeFolder(dirname(path))
    this.#database.open()
    chmodSync(path, 0o600)
    // auto_vacuum only counts if it comes before the first table: deleted space goes back to the disk in small steps.
    this.#database.exec(`PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = ${sync ? 'FULL' : 'NORMAL'}; PRAGMA cache_size = -4096; PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 4000`)
    await migrate(this.db)
    this.#database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs ?? usualBusyTimeoutMs}`)
    this.#statements = prepareStatements(this.#database)
  }

  async findPosition (journalId: string): Promise<StoredPosition | undefined> {
    return this.db.selectFrom('trail_position').select(['segment', 'bytes']).where('journal', '=', journalId).executeTakeFirst()
  }

  async apply (batch: Batch): Promise<void> {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      this.#write(batch, this.#statements as Statements)
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      this.#blocks = undefined
      throw error
    }
  }

  #write ({ journalId, rows, outcomes, amendments, position, nowMs }: Batch, statements: Statements): void {
    this.#blocks ??= new BlockKeeper()
    for (let from = 0; from < rows.length; from += blockRows) this.#insert(rows.slice(from, from + blockRows), statements)
    for (const outcome of outcomes) {
      const found = statements.finish.get(...outcome) as { seq: number } | undefined
      if (found !== undefined) this.#noteOutcome(found.seq, outcome, outcome.at(-2) as string, statements)
    }
    for (const amendment of amendments) statements.amend.run(...amendment)
    statements.position.run(journalId, position.segment, position.bytes, nowMs)
  }

  #insert (rows: Value[][], statements: Statements): void {
    const before = statements.lastSeq.get() as { seq: number }
    for (const row of rows) statements.insert.run(...row)
    const after = statements.lastSeq.get() as { seq: number }
    if (after.seq > before.seq) this.#noteBlock(before.seq + 1, after.seq, rows, statements)
    if (after.seq - before.seq === rows.length) return
    // Rows that were there already (a replay) took over outcomes that their blocks may not know.
    for (const row of rows) {
      const { seq } = statements.findSeq.get(row[columnIndex.id] as string) as { seq: number }
      this.#noteOutcome(seq, row.slice(columnIndex.outcome), row[columnIndex.notes] as string, statements)
    }
  }

  #noteOutcome (seq: number, outcome: Value[], notes: string, statements: Statements): void {
    const { values, durationMs } = describeOutcome(outcome, notes)
    const news = this.#blocks?.learn(seq, values, durationMs)
    if (news === undefined) {
      for (const { field, value } of values) statements.findZone.run(field, value, seq, seq)
      statements.findDuration.run(durationMs, seq, seq)
      return
    }
    for (const { field, value } of news.added) statements.addZone.run(field, value, news.id)
    if (news.maxDurationMs !== undefined) statements.addDuration.run(news.maxDurationMs, news.id)
  }

  #noteBlock (firstSeq: number, lastSeq: number, rows: Value[][], statements: Statements): void {
    const blocks = this.#blocks as BlockKeeper
    const { id, row, added } = blocks.extend(firstSeq, lastSeq, rows)
    const values = [row.first_seq, row.last_seq, row.min_started_at, row.max_started_at, row.max_duration_ms, row.rows, row.path_filter]
    // Retention may have taken the block away meanwhile; then it comes anew.
    const isKnown = id !== undefined && Number(statements.growBlock.run(...values, id).changes) > 0
    const block = isKnown ? id : Number(statements.addBlock.run(...values).lastInsertRowid)
    blocks.noteId(block)
    for (const { field, value } of isKnown ? added : blocks.listValues()) statements.addZone.run(field, value, block)
  }

  async measure (): Promise<number> {
    const { bytes } = this.#database.prepare('SELECT (page_count - freelist_count) * page_size AS bytes FROM pragma_page_count, pragma_freelist_count, pragma_page_size').get() as { bytes: number }
    return bytes
  }

  async shrink (): Promise<void> {
    this.#database.exec('PRAGMA incremental_vacuum(500)')
  }

  async close (): Promise<void> {
    this.#statements = undefined
    if (this.#database.isOpen) this.#database.close()
  }
}

type Statements = Record<'insert' | 'finish' | 'amend' | 'lastSeq' | 'addBlock' | 'growBlock' | 'addZone' | 'addDuration' | 'findSeq' | 'findZone' | 'findDuration' | 'position', StatementSync>

function prepareStatements (database: DatabaseSync): Statements {
  const finished = outcomeFields.filter(name => !name.startsWith('async_'))
  const learned = outcomeFields.filter(name => name.startsWith('async_'))
  const takeOver = [...finished, 'notes'].map(name => `${name} = excluded.${name}`).concat(learned.map(name => `${name} = coalesce(excluded.${name}, trail.${name})`))
  return {
    insert: database.prepare(`INSERT INTO trail (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})
      ON CONFLICT (id) DO UPDATE SET ${takeOver.join(', ')} WHERE excluded.outcome <> 'open'`),
    finish: database.prepare(`UPDATE trail SET ${[...finished.map(name => `${name} = ?`), ...learned.map(name => `${name} = coalesce(?, ${name})`)].join(', ')}, notes = ? WHERE id = ? RETURNING seq`),
    amend: database.prepare(`UPDATE trail SET ${learned.map(name => `${name} = coalesce(?, ${name})`).join(', ')} WHERE id = ?`),
    lastSeq: database.prepare('SELECT coalesce(max(seq), 0) AS seq FROM sqlite_sequence WHERE name = \'trail\''),
    addBlock: database.prepare('INSERT INTO trail_block (first_seq, last_seq, min_started_at, max_started_at, max_duration_ms, rows, path_filter) VALUES (?, ?, ?, ?, ?, ?, ?)'),
    growBlock: database.prepare('UPDATE trail_block SET first_seq = ?, last_seq = ?, min_started_at = ?, max_started_at = ?, max_duration_ms = max(max_duration_ms, ?), rows = ?, path_filter = ? WHERE id = ?'),
    addZone: database.prepare('INSERT OR IGNORE INTO trail_zone (field, value, block) VALUES (?, ?, ?)'),
    findSeq: database.prepare('SELECT seq FROM trail WHERE id = ?'),
    addDuration: database.prepare('UPDATE trail_block SET max_duration_ms = max(max_duration_ms, ?) WHERE id = ?'),
    // For rows of blocks that aren't remembered: from before a restart, or of long ago.
    findZone: database.prepare('INSERT OR IGNORE INTO trail_zone (field, value, block) SELECT ?, ?, id FROM trail_block WHERE first_seq <= ? AND last_seq >= ?'),
    findDuration: database.prepare('UPDATE trail_block SET max_duration_ms = max(max_duration_ms, ?) WHERE first_seq <= ? AND last_seq >= ?'),
    position: database.prepare('INSERT INTO trail_position (journal, segment, bytes, seen_at) VALUES (?, ?, ?, ?) ON CONFLICT (journal) DO UPDATE SET segment = excluded.segment, bytes = excluded.bytes, seen_at = excluded.seen_at')
  }
}

async function migrate (db: Kysely<Schema>): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => listMigrations('sqlite') } })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
}

const faults: Record<number, StoreFault> = { 5: 'busy', 6: 'busy', 8: 'readonly', 11: 'corrupt', 13: 'full', 14: 'unreachable', 26: 'corrupt' }

/** By SQLite's primary result code. */
export function classifySqliteError (error: unknown): StoreFault {
  return faults[((error as { errcode?: number }).errcode ?? 0) & 0xff] ?? 'other'
}

/** Keeps a damaged file for whoever wants to rescue something from it. Gives its new name. */
export function moveAside (path: string, nowMs: number): string {
  const aside = `${path}.corrupt-${new Date(nowMs).toISOString().replaceAll(/[:.]/g, '-')}`
  for (const suffix of ['', '-wal', '-shm']) {
    try {
      renameSync(path + suffix, aside + suffix)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return aside
}
