import { dirname, join } from 'node:path'
import type { Settings } from '../config/table.ts'

/** Beside the trail, as everything the proxy must not forget. */
export function findStateFile ({ trail, trailJournal }: Pick<Settings, 'trail' | 'trailJournal'>): string {
  return join(findFolder(), 'channel.journal')

  function findFolder (): string {
    if (trail.kind === 'sqlite') return dirname(trail.path)
    return trailJournal === undefined ? 'data' : dirname(join(trailJournal, '.'))
  }
}
