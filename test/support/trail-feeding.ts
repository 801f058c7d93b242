import { Kysely } from 'kysely'
import { DatabaseSync } from 'node:sqlite'
import type { Test } from 'tap'
import type { KnownProxy } from '../../src/trail/bundle-context.ts'
import { Journal } from '../../src/trail/journal.ts'
import { JournalReader } from '../../src/trail/journal-reader.ts'
import { connectStore, type StoreSettings } from '../../src/trail/store/connect.ts'
import { Feeder, type FeederReport } from '../../src/trail/store/feeder.ts'
import type { RetentionLimits } from '../../src/trail/store/housekeeping.ts'
import { connectPostgres } from '../../src/trail/store/postgres-store.ts'
import type { Schema, TrailRow } from '../../src/trail/store/schema.ts'
import { NodeSqliteDialect } from '../../src/trail/store/sqlite-dialect.ts'
import type { Place } from './trail-stores.ts'

/** A journal in the place of a test, ended with it. */
export function openJournal (t: Test, { folder }: Pick<Place, 'folder'>, maxSegmentBytes = 1024 ** 2) {
  const journal = new Journal({ folder, onFailure: 'block', sync: false, monotonic: () => performance.now(), onWritten: () => {}, onStateChange: () => {}, maxSegmentBytes })
  const close = () => { journal.end(); journal.release() }
  t.teardown(close)
  return { journal, close }
}

/** What the storing thread runs, in this thread. `feed` stores all that the journal has. */
export async function openFeeder (t: Test, place: Place, options: { retention?: RetentionLimits, housekeepingMs?: number, now?: () => number, proxy?: KnownProxy } = {}) {
  const reports: FeederReport[] = []
  const messages: string[] = []
  const feeder = new Feeder({
    ...await connectStore(place.store),
    reader: new JournalReader(place.folder),
    retention: { maxAgeMs: 1e12, maxBytes: 1e12 },
    now: Date.now,
    report: report => reports.push(report),
    log: (_level, _what, message) => messages.push(message),
    ...options
  })
  t.teardown(() => feeder.stop())
  const feed = async (journal: Journal) => {
    journal.flush()
    if (journal.position !== undefined) feeder.advance(journal.position)
    await feeder.drain()
  }
  return { feeder, feed, reports, messages }
}

/** What the store has, in its order. */
export async function readRows (place: Place): Promise<TrailRow[]> {
  const db = connectReader(place.store)
  const rows = await db.selectFrom('trail').selectAll().orderBy('seq').execute()
  await db.destroy()
  return rows as unknown as TrailRow[]
}

/** Reads only: a store that is opened to be written to may have to wait for the one under test. */
function connectReader (store: StoreSettings): Kysely<Schema> {
  if (store.kind === 'postgres') return connectPostgres(store)
  return new Kysely<Schema>({ dialect: new NodeSqliteDialect(new DatabaseSync(store.path, { readOnly: true, timeout: 10_000 })) })
}
