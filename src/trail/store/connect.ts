import type { FeederOptions } from './feeder.ts'

/** The setting PROXY_TRAIL, decoded, and whether commits wait for the disk. */
export type StoreSettings = { kind: 'sqlite', path: string, sync: boolean } | { kind: 'postgres', url: string, sync: boolean }

export type StoreConnection = Pick<FeederOptions, 'createStore' | 'classifyError' | 'replaceStore'>

/** What differs between the stores, for the feeder. Loads only the driver that is used. */
export async function connectStore (settings: StoreSettings): Promise<StoreConnection> {
  if (settings.kind === 'sqlite') {
    const { classifySqliteError, moveAside, SqliteStore } = await import('./sqlite-store.ts')
    return {
      createStore: () => new SqliteStore(settings),
      classifyError: classifySqliteError,
      replaceStore: nowMs => `moved to ${moveAside(settings.path, nowMs)}`
    }
  }
  const { classifyPostgresError, PostgresStore } = await import('./postgres-store.ts')
  return {
    createStore: () => new PostgresStore(settings),
    classifyError: classifyPostgresError,
    replaceStore: () => { throw new Error('a PostgreSQL database is for its administrator to repair') }
  }
}
