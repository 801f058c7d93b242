import type { FeederOptions } from './feeder.ts'
import { classifyPostgresError, PostgresStore } from './postgres-store.ts'
import { classifySqliteError, moveAside, SqliteStore } from './sqlite-store.ts'

/** The setting PROXY_TRAIL, decoded, and whether commits wait for the disk. */
export type StoreSettings = { kind: 'sqlite', path: string, sync: boolean } | { kind: 'postgres', url: string, sync: boolean }

/** What differs between the stores, for the feeder. */
export function connectStore (settings: StoreSettings): Pick<FeederOptions, 'createStore' | 'classifyError' | 'replaceStore'> {
  if (settings.kind === 'sqlite') {
    return {
      createStore: () => new SqliteStore(settings),
      classifyError: classifySqliteError,
      replaceStore: nowMs => `moved to ${moveAside(settings.path, nowMs)}`
    }
  }
  return {
    createStore: () => new PostgresStore(settings),
    classifyError: classifyPostgresError,
    replaceStore: () => { throw new Error('a PostgreSQL database is for its administrator to repair') }
  }
}
