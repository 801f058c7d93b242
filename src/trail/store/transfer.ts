import type { JournalReader, Stretch } from '../journal-reader.ts'
import type { Position } from '../segment-writer.ts'
import { buildBatch } from './batch.ts'
import { HeldIntents } from './held-intents.ts'
import { markUnfinished } from './housekeeping.ts'
import type { Store, StoredPosition } from './store.ts'

export interface TransferOptions {
  reader: JournalReader
  /** Milliseconds since 1970. */
  now: () => number
  /** A stretch is stored. */
  onStored: () => void
  log: (level: 'info' | 'warn' | 'error', what: Record<string, unknown>, message: string) => void
}

/** The way from the journal's segments into a store, stretch by stretch: where it is, and what is under way. */
export class Transfer {
  readonly #options: TransferOptions
  readonly #held = new HeldIntents()
  #cursor: StoredPosition | undefined
  /** What earlier runs left open is closed. */
  #marked = false

  constructor (options: TransferOptions) {
    this.#options = options
  }

  get cursor (): StoredPosition | undefined { return this.#cursor }

  /** Intents that wait for their outcome. */
  get heldCount (): number { return this.#held.size }

  /** Carries one stretch over. Gives whether there may be more. */
  async step (store: Store, target: Position): Promise<boolean> {
    this.#cursor ??= await this.#findCursor(store, target)
    const segment = this.#nextSegment(this.#cursor, target)
    if (!this.#marked && (segment === undefined || segment >= target.firstSegment)) await this.#markUnfinished(store, target)
    if (segment === undefined) return false
    const from = segment === this.#cursor.segment ? this.#cursor.bytes : 0
    const stretch = this.#read(segment, from, target)
    if (stretch.lines.length === 0) return this.#leaveSegment(store, segment, target)
    await this.#apply(store, stretch, { segment, bytes: from }, target)
    return true
  }

  async #findCursor (store: Store, target: Position): Promise<StoredPosition> {
    const cursor = await store.findPosition(target.journalId) ?? { segment: 0, bytes: 0 }
    // This thread was begun anew within a run: what is open may well be open.
    if (cursor.segment >= target.firstSegment) this.#marked = true
    return cursor
  }

  /** Lower ones are stored and go; the lowest left is next. */
  #nextSegment (cursor: StoredPosition, target: Position): number | undefined {
    if (cursor.segment === target.segment) return cursor.segment
    const segments = this.#options.reader.list().filter(number => number <= target.segment)
    for (const number of segments) {
      if (number < cursor.segment) this.#options.reader.delete(number)
    }
    return segments.find(number => number >= cursor.segment)
  }

  #read (segment: number, from: number, target: Position): Stretch {
    try {
      return this.#options.reader.read(segment, from, segment === target.segment ? target.bytes : undefined)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      return { lines: [], bytes: from } // somebody deleted it: nothing to be had
    }
  }

  async #leaveSegment (store: Store, segment: number, target: Position): Promise<boolean> {
    if (segment >= target.segment) {
      // This run has written nothing yet, and all of the earlier ones is stored.
      if (!this.#marked && target.segment < target.firstSegment) await this.#markUnfinished(store, target)
      return false
    }
    await this.flush(store, target, 0)
    this.#cursor = { segment: segment + 1, bytes: 0 }
    this.#options.reader.delete(segment)
    return true
  }

  async #apply (store: Store, stretch: Stretch, from: StoredPosition, target: Position): Promise<void> {
    const { damaged, rows, ...batch } = buildBatch(target.journalId, stretch.lines, this.#held.rows)
    const ready = this.#held.sort(rows, from)
    this.#cursor = { segment: from.segment, bytes: stretch.bytes }
    await store.apply({ ...batch, rows: ready, position: this.#held.safePosition(this.#cursor), nowMs: this.#options.now() })
    if (damaged > 0) this.#options.log('warn', { segment: from.segment, lines: damaged }, 'trail: damaged lines of the journal were left out')
    this.#options.onStored()
  }

  /** Stores, as open, what has waited long enough for its outcome. */
  async flush (store: Store, { journalId }: Position, waitedMs: number): Promise<void> {
    const rows = this.#held.release(waitedMs)
    if (rows.length === 0) return
    await store.apply({ journalId, rows, outcomes: [], amendments: [], position: this.#held.safePosition(this.#cursor as StoredPosition), nowMs: this.#options.now() })
  }

  async #markUnfinished (store: Store, target: Position): Promise<void> {
    await this.flush(store, target, 0)
    const count = await markUnfinished(store.db, target.journalId)
    this.#marked = true
    if (count > 0) this.#options.log('warn', { requests: count }, 'trail: requests of an earlier run that ended without an outcome are marked unfinished')
  }

  /** After a failure: the store itself says where to go on. */
  reset (): void {
    this.#held.clear()
    this.#cursor = undefined
  }
}
