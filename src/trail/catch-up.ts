import { JournalReader } from './journal-reader.ts'
import { JournalLock } from './journal-lock.ts'
import { findJournalId, listSegments } from './segments.ts'
import { connectStore, type StoreSettings } from './store/connect.ts'
import { Feeder } from './store/feeder.ts'

/** Longest that a command which only wants to read waits for this; a proxy that starts meanwhile waits longer. */
const limitMs = 2000

/**
 * Stores what a proxy that was killed left on its journal, so that the command line shows that too. Does nothing while a
 * proxy runs: it has the lock, and stores by itself. Gives whether everything that was written is in the store.
 */
export async function catchUp (folder: string, store: StoreSettings): Promise<boolean> {
  const lock = tryLock(folder)
  if (lock === undefined) return true
  try {
    return await feedLeftovers(folder, store)
  } finally {
    lock.release()
  }
}

/** No right to write there, or in use: then there is nothing to be done here. */
function tryLock (folder: string): JournalLock | undefined {
  try {
    return listSegments(folder).length === 0 ? undefined : JournalLock.acquire(folder)
  } catch {
    return undefined
  }
}

async function feedLeftovers (folder: string, store: StoreSettings): Promise<boolean> {
  const segments = listSegments(folder)
  const journalId = findJournalId(folder, segments)
  const last = segments.at(-1)
  if (journalId === undefined || last === undefined) return true
  let complete = false
  const feeder = new Feeder({
    ...await connectStore(store),
    reader: new JournalReader(folder),
    retention: { maxAgeMs: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER },
    housekeepingMs: limitMs * 10,
    now: Date.now,
    report: ({ caughtUp }) => { complete = caughtUp },
    log: () => {}
  })
  // All of it was written by earlier runs, to the last byte.
  feeder.advance({ journalId, firstSegment: last + 1, segment: last, bytes: Number.MAX_SAFE_INTEGER })
  const limit = AbortSignal.timeout(limitMs)
  await Promise.race([feeder.drain(), new Promise(resolve => { limit.addEventListener('abort', resolve, { once: true }) })])
  await feeder.stop()
  return complete
}
