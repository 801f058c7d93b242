import { dirname, join } from 'node:path'
import type { Settings } from '../config/table.ts'

/** Where the proxy keeps what must outlive it: beside the trail. The team file's own folder may be mounted read-only. */
export function findStateFolder ({ trail, trailJournal }: Pick<Settings, 'trail' | 'trailJournal'>): string {
  if (trail.kind === 'sqlite') return dirname(trail.path)
  return trailJournal === undefined ? 'data' : dirname(join(trailJournal, '.'))
}
