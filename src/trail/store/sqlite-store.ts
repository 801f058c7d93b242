import { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'
import { chmodSync, mkdirSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { outcomeFields } from '../lines.ts'
import { BlockKeeper } from './blocks.ts'
import { listMigrations } from './migrations.ts'
import { columnIndex, columns, type Schema } from './schema.ts'
import { NodeSqliteDialect } from './sqlite-dialect.ts'
import type { Batch, Store, StoredPosition, StoreFault } from './store.ts'

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
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    this.#database.open()
    chmodSync(path, 0o600)
    // auto_vacuum only counts if it comes before the first table: deleted space goes back to the disk in small steps.
    this.#database.exec(`PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = ${sync ? 'FULL' : 'NORMAL'}; PRAGMA cache_size = -16384; PRAGMA journal_size_limit = 67108864`)
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
    const before = statements.lastSeq.get() as { seq: number }
    for (const row of rows) statements.insert.run(...row)
    for (const outcome of outcomes) statements.finish.run(...outcome)
    for (const amendment of amendments) statements.amend.run(...amendment)
    const after = statements.lastSeq.get() as { seq: number }
    if (after.seq > before.seq) this.#noteBlock(before.seq + 1, after.seq, rows as number[][], statements)
    statements.position.run(journalId, position.segment, position.bytes, nowMs)
  }

  #noteBlock (firstSeq: number, lastSeq: number, rows: number[][], statements: Statements): void {
    this.#blocks ??= new BlockKeeper()
    const times = rows.map(row => row[columnIndex.started_at] as number)
    const { id, ...block } = this.#blocks.extend({ first_seq: firstSeq, last_seq: lastSeq, min_started_at: Math.min(...times), max_started_at: Math.max(...times), rows: lastSeq - firstSeq + 1 })
    const values = [block.first_seq, block.last_seq, block.min_started_at, block.max_started_at, block.rows]
    // Retention may have taken the block away meanwhile; then it comes anew.
    if (id !== undefined && Number(statements.growBlock.run(...values, id).changes) > 0) return
    this.#blocks.id = Number(statements.addBlock.run(...values).lastInsertRowid)
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

type Statements = Record<'insert' | 'finish' | 'amend' | 'lastSeq' | 'addBlock' | 'growBlock' | 'position', StatementSync>

function prepareStatements (database: DatabaseSync): Statements {
  const finished = outcomeFields.filter(name => !name.startsWith('async_'))
  const learned = outcomeFields.filter(name => name.startsWith('async_'))
  const takeOver = [...finished, 'notes'].map(name => `${name} = excluded.${name}`).concat(learned.map(name => `${name} = coalesce(excluded.${name}, trail.${name})`))
  return {
    insert: database.prepare(`INSERT INTO trail (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})
      ON CONFLICT (id) DO UPDATE SET ${takeOver.join(', ')} WHERE excluded.outcome <> 'open'`),
    finish: database.prepare(`UPDATE trail SET ${[...finished.map(name => `${name} = ?`), ...learned.map(name => `${name} = coalesce(?, ${name})`)].join(', ')}, notes = ? WHERE id = ?`),
    amend: database.prepare(`UPDATE trail SET ${learned.map(name => `${name} = coalesce(?, ${name})`).join(', ')} WHERE id = ?`),
    lastSeq: database.prepare('SELECT coalesce(max(seq), 0) AS seq FROM sqlite_sequence WHERE name = \'trail\''),
    addBlock: database.prepare('INSERT INTO trail_block (first_seq, last_seq, min_started_at, max_started_at, rows) VALUES (?, ?, ?, ?, ?)'),
    growBlock: database.prepare('UPDATE trail_block SET first_seq = ?, last_seq = ?, min_started_at = ?, max_started_at = ?, rows = ? WHERE id = ?'),
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
