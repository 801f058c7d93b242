import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { Schema } from './schema.ts'

/** Numbers differ by database: SQLite's INTEGER PRIMARY KEY must be spelled so, PostgreSQL's INTEGER is too short. */
type Kind = 'sqlite' | 'postgres'

/** Only ever add to the end: a store may be of any earlier version. */
export function listMigrations (kind: Kind): Record<string, Migration> {
  return {
    '001-trail': { up: db => createTrail(db as Kysely<Schema>, kind) },
    '002-proxy': { up: db => createProxy(db as Kysely<Schema>, kind) }
  }
}

async function createTrail (db: Kysely<Schema>, kind: Kind): Promise<void> {
  const bigint = kind === 'sqlite' ? 'integer' : 'bigint'
  const real = kind === 'sqlite' ? 'real' : 'double precision'
  // Bytes, as in SQLite: quicker than a language's order, and the same everywhere.
  const text = kind === 'sqlite' ? sql`text` : sql`text collate "C"`
  const seq = kind === 'sqlite' ? sql`integer primary key autoincrement` : sql`bigint generated always as identity primary key`
  let trail = db.schema.createTable('trail').addColumn('seq', seq)
    .addColumn('id', text, column => column.notNull().unique())
    .addColumn('journal', text, column => column.notNull())
    .addColumn('started_at', bigint, column => column.notNull())
  for (const name of ['kind', 'member', 'method', 'path', 'query', 'region', 'key_fingerprint', 'client_address', 'client_agent', 'policy_decision', 'parent_id', 'notes', 'trace_id', 'outcome'] as const) {
    trail = trail.addColumn(name, text, column => column.notNull())
  }
  await trail
    .addColumn('status', 'integer')
    .addColumn('upstream_request_id', text)
    .addColumn('error_type', text)
    .addColumn('error_message', text)
    .addColumn('duration_ms', real)
    .addColumn('ttfb_ms', real)
    .addColumn('bytes_in', bigint, column => column.notNull())
    .addColumn('bytes_out', bigint, column => column.notNull())
    .addColumn('attempts', 'integer', column => column.notNull())
    .addColumn('close_code', 'integer')
    .addColumn('clock_offset_ms', real)
    .addColumn('async_id', text)
    .addColumn('async_status', 'integer')
    .addColumn('async_latency_ms', real)
    .execute()
  await createIndexes(db)
  await createBookkeeping(db, kind)
}

/** For what names one record or a few. All other fields are found by block. */
async function createIndexes (db: Kysely<Schema>): Promise<void> {
  for (const column of ['upstream_request_id', 'async_id'] as const) {
    await db.schema.createIndex(`trail_${column}`).on('trail').columns([column, 'seq']).where(sql<boolean>`${sql.ref(column)} is not null`).execute()
  }
  for (const column of ['parent_id', 'trace_id'] as const) {
    await db.schema.createIndex(`trail_${column}`).on('trail').columns([column, 'seq']).where(sql<boolean>`${sql.ref(column)} <> ''`).execute()
  }
  await db.schema.createIndex('trail_open').on('trail').columns(['journal', 'seq']).where(sql<boolean>`outcome = 'open'`).execute()
}

async function createBookkeeping (db: Kysely<Schema>, kind: Kind): Promise<void> {
  const bigint = kind === 'sqlite' ? 'integer' : 'bigint'
  const text = kind === 'sqlite' ? sql`text` : sql`text collate "C"`
  const id = kind === 'sqlite' ? sql`integer primary key autoincrement` : sql`bigint generated always as identity primary key`
  let block = db.schema.createTable('trail_block').addColumn('id', id)
  for (const name of ['first_seq', 'last_seq', 'min_started_at', 'max_started_at', 'rows'] as const) {
    block = block.addColumn(name, bigint, column => column.notNull())
  }
  await block
    .addColumn('max_duration_ms', kind === 'sqlite' ? 'real' : 'double precision', column => column.notNull())
    .addColumn('path_filter', kind === 'sqlite' ? 'blob' : 'bytea', column => column.notNull())
    .execute()
  for (const column of ['first_seq', 'last_seq'] as const) await db.schema.createIndex(`trail_block_${column}`).on('trail_block').column(column).execute()
  await db.schema.createTable('trail_zone')
    .addColumn('field', text, column => column.notNull())
    .addColumn('value', text, column => column.notNull())
    .addColumn('block', bigint, column => column.notNull())
    .addPrimaryKeyConstraint('trail_zone_key', ['field', 'value', 'block'])
    .$call(table => kind === 'sqlite' ? table.modifyEnd(sql`without rowid`) : table)
    .execute()
  await db.schema.createIndex('trail_zone_block').on('trail_zone').column('block').execute()
  await db.schema.createTable('trail_position')
    .addColumn('journal', 'text', column => column.primaryKey())
    .addColumn('segment', bigint, column => column.notNull())
    .addColumn('bytes', bigint, column => column.notNull())
    .addColumn('seen_at', bigint, column => column.notNull())
    .execute()
}

async function createProxy (db: Kysely<Schema>, kind: Kind): Promise<void> {
  await db.schema.createTable('trail_proxy')
    .addColumn('id', 'text', column => column.primaryKey())
    .addColumn('context', 'text', column => column.notNull())
    .addColumn('seen_at', kind === 'sqlite' ? 'integer' : 'bigint', column => column.notNull())
    .execute()
}
