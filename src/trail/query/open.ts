import { Kysely } from 'kysely'
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { StoreSettings } from '../store/connect.ts'
import type { Schema } from '../store/schema.ts'
import { NodeSqliteDialect } from '../store/sqlite-dialect.ts'
import { TrailReader } from './reader.ts'

/** There is no store yet at this place. */
export class StoreMissingError extends Error {
  override name = 'StoreMissingError'
}

/** A reader with a connection of its own. Loads only the driver that is used. */
export async function openReader (store: StoreSettings, now?: () => number): Promise<TrailReader> {
  if (store.kind === 'postgres') {
    const { connectPostgres } = await import('../store/postgres-store.ts')
    return new TrailReader(connectPostgres(store), 'postgres', now)
  }
  if (!existsSync(store.path)) throw new StoreMissingError(`There is no trail at ${store.path} yet.`)
  const database = new DatabaseSync(store.path, { readOnly: true, timeout: 2000 })
  database.exec('PRAGMA cache_size = -16384; PRAGMA mmap_size = 268435456')
  return new TrailReader(new Kysely<Schema>({ dialect: new NodeSqliteDialect(database) }), 'sqlite', now)
}
