import { classifySqliteError, moveAside, SqliteStore } from './sqlite-store.ts'
import type { FeederOptions } from './feeder.ts'

/** The setting PROXY_TRAIL, decoded, and whether commits wait for the disk. */
export type StoreSettings = { kind: 'sqlite', path: string, sync: boolean } | { kind: 'postgres', url: string, sync: boolean }

/** What differs between the stores, for the feeder. */
export function connectStore (settings: StoreSettings): Pick<FeederOptions, 'createStore' | 'classifyError' | 'replaceStore'> {
  if (settings.kind === 'postgres') throw new Error('not yet')
  return {
    createStore: () => new SqliteStore(settings),
    classifyError: classifySqliteError,
    replaceStore: nowMs => `moved to ${moveAside(settings.path, nowMs)}`
  }
}
