import { dirname, join } from 'node:path'
import type { Settings } from '../config/table.ts'
import type { StoreSettings } from './store/connect.ts'

/** Where the trail is, by the settings. */
export function findPlaces ({ trail, trailJournal, trailSync }: Pick<Settings, 'trail' | 'trailJournal' | 'trailSync'>): { folder: string, store: StoreSettings } {
  return { folder: trailJournal ?? findFolder(trail), store: { ...trail, sync: trailSync } }
}

/** Beside the SQLite file, so that moving one moves both. */
function findFolder (trail: Settings['trail']): string {
  return trail.kind === 'sqlite' ? join(dirname(trail.path), 'trail.journal') : join('data', 'trail.journal')
}
