import type { JournalReader, Stretch } from '../journal-reader.ts'
import type { Position } from '../segment-writer.ts'
import { buildBatch } from './batch.ts'
import { columnIndex } from './schema.ts'
import { markUnfinished, noteLife, prune, type RetentionLimits } from './housekeeping.ts'
import type { Store, StoredPosition, StoreFault, Value } from './store.ts'

export interface FeederOptions {
  reader: JournalReader
  /** A new connection; called again after each failure. */
  createStore: () => Store
  classifyError: (error: unknown) => StoreFault
  /** Makes room for a new store where this one is beyond repair. Gives what to tell the operator. */
  replaceStore: (nowMs: number) => string
  retention: RetentionLimits
  /** Milliseconds since 1970. */
  now: () => number
  /** How often retention is looked after. */
  housekeepingMs?: number
  report: (report: FeederReport) => void
  log: (level: 'info' | 'warn' | 'error', what: Record<string, unknown>, message: string) => void
}

/** What the main thread gets to know. */
export interface FeederReport {
  stored: StoredPosition | undefined
  /** Nothing was left to store. */
  caughtUp: boolean
  fault: StoreFault | null
  /** The database's own words, for the log and `status`. */
  message: string | null
  /** Bytes of the store, once measured. */
  storeBytes: number | null
}

const firstRetryMs = 200
/** Recovery within 5 s is promised. */
const longestRetryMs = 2000
/**
 * An intent waits that long for its outcome: most requests are then written once and not twice. Short enough for what
 * takes longer to be found as open within 300 ms.
 */
const holdMs = 150
const mostHeld = 5000
const usualHousekeepingMs = 60_000
/** Between two steps of retention, so that they take a small part of the time only. */
const pruneEveryMs = 30

/** Carries the journal into the store, stretch by stretch, and goes on where it stopped, whatever happened. */
export class Feeder {
  readonly #options: FeederOptions
  #store: Store | undefined
  #target: Position | undefined
  /** The journal has got further since storing began: it came while a database was waited for. */
  #advanced = false
  #cursor: StoredPosition | undefined
  #marked = false
  #running = false
  #stopped = false
  #retryMs = firstRetryMs
  #retryTimer: NodeJS.Timeout | undefined
  readonly #held = new Map<string, HeldIntent>()
  #heldTimer: NodeJS.Timeout | undefined
  #storeBytes: number | null = null
  #failing = false
  #housekeepingAt: number
  #housekeepingTimer: NodeJS.Timeout | undefined
  #prunedTo: number | undefined
  #idle: Array<() => void> = []
  #draining = false

  constructor (options: FeederOptions) {
    this.#options = options
    this.#housekeepingAt = performance.now()
  }

  /** The journal is written up to there. */
  advance (target: Position): void {
    this.#target = target
    this.#advanced = true
    if (this.#retryTimer === undefined) this.#wake()
  }

  /** Resolves when everything up to the latest target is stored, or when that fails. */
  drain (): Promise<void> {
    return new Promise(resolve => {
      this.#idle.push(resolve)
      this.#draining = true
      clearTimeout(this.#retryTimer)
      this.#retryTimer = undefined
      this.#wake()
    })
  }

  #wake (): void {
    this.#run().catch((error: unknown) => this.#options.log('error', { error: String(error) }, 'trail: storing stopped, which is a defect'))
  }

  async #run (): Promise<void> {
    if (this.#running) return
    if (this.#stopped || this.#target === undefined) return this.#endDrain()
    this.#running = true
    const draining = this.#draining
    try {
      do await this.#storeAll(this.#target)
      while (this.#advanced && !this.#stopped)
      await this.#flushHeld(this.#target, draining ? 0 : holdMs)
      this.#noteSuccess(!this.#advanced)
      await this.#keepHouse(this.#target)
    } catch (error) {
      await this.#recover(error)
    } finally {
      this.#running = false
      if (draining || this.#stopped) this.#endDrain()
      else if (this.#draining || (this.#advanced && this.#retryTimer === undefined)) this.#wake()
    }
  }

  async #storeAll (target: Position): Promise<void> {
    this.#advanced = false
    while (!this.#stopped && await this.#step(target)) {
      await this.#keepHouse(target)
      await breathe()
    }
  }

  #endDrain (): void {
    this.#draining = false
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** One stretch. Gives whether there may be more. */
  async #step (target: Position): Promise<boolean> {
    const store = await this.#openStore()
    this.#cursor ??= await this.#findCursor(store, target)
    const segment = this.#nextSegment(this.#cursor, target)
    if (!this.#marked && (segment === undefined || segment >= target.firstSegment)) await this.#markUnfinished(store, target)
    if (segment === undefined) return false
    const from = segment === this.#cursor.segment ? this.#cursor.bytes : 0
    const stretch = this.#read(segment, from, target)
    if (stretch.lines.length === 0) return this.#leaveSegment(store, segment, target)
    await this.#apply(store, stretch, segment, target)
    return true
  }

  async #findCursor (store: Store, target: Position): Promise<StoredPosition> {
    const cursor = await store.findPosition(target.journalId) ?? { segment: 0, bytes: 0 }
    // This thread was begun anew within a run: what is open may well be open.
    if (cursor.segment >= target.firstSegment) this.#marked = true
    return cursor
  }

  async #openStore (): Promise<Store> {
    if (this.#store !== undefined) return this.#store
    const store = this.#options.createStore()
    try {
      await store.open()
    } catch (error) {
      await store.close().catch(() => {})
      throw error
    }
    this.#store = store
    return store
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
    await this.#flushHeld(target, 0)
    this.#cursor = { segment: segment + 1, bytes: 0 }
    this.#options.reader.delete(segment)
    return true
  }

  async #apply (store: Store, stretch: Stretch, segment: number, target: Position): Promise<void> {
    const from: StoredPosition = { segment, bytes: segment === this.#cursor?.segment ? this.#cursor.bytes : 0 }
    const { damaged, rows, ...batch } = buildBatch(target.journalId, stretch.lines, [...this.#held.values()].map(({ row }) => row))
    const known = new Map(this.#held)
    this.#held.clear()
    const ready: Value[][] = []
    for (const row of rows) {
      const id = row[columnIndex.id] as string
      const held = known.get(id) ?? { row, from, sinceMs: performance.now() }
      if (row[columnIndex.outcome] === 'open' && this.#held.size < mostHeld && performance.now() - held.sinceMs < holdMs) this.#held.set(id, held)
      else ready.push(row)
    }
    this.#cursor = { segment, bytes: stretch.bytes }
    await store.apply({ ...batch, rows: ready, position: this.#safePosition(), nowMs: this.#options.now() })
    if (damaged > 0) this.#options.log('warn', { segment, lines: damaged }, 'trail: damaged lines of the journal were left out')
    this.#noteSuccess(false)
  }

  /** What is held isn't stored yet: after a crash, reading begins there. */
  #safePosition (): StoredPosition {
    const [first] = this.#held.values()
    return first?.from ?? this.#cursor as StoredPosition
  }

  /** Stores, as open, what has waited long enough. */
  async #flushHeld ({ journalId }: Position, waitedMs: number): Promise<void> {
    clearTimeout(this.#heldTimer)
    const due = [...this.#held].filter(([, { sinceMs }]) => performance.now() - sinceMs >= waitedMs)
    for (const [id] of due) this.#held.delete(id)
    if (due.length > 0) {
      await this.#store?.apply({ journalId, rows: due.map(([, { row }]) => row), outcomes: [], amendments: [], position: this.#safePosition(), nowMs: this.#options.now() })
    }
    if (this.#held.size > 0) this.#heldTimer = setTimeout(() => this.#wake(), holdMs)
  }

  async #markUnfinished (store: Store, target: Position): Promise<void> {
    await this.#flushHeld(target, 0)
    const count = await markUnfinished(store.db, target.journalId)
    this.#marked = true
    if (count > 0) this.#options.log('warn', { requests: count }, 'trail: requests of an earlier run that ended without an outcome are marked unfinished')
  }

  /** One small step, if one is due. */
  async #keepHouse ({ journalId }: Position): Promise<void> {
    const store = this.#store
    if (store === undefined || this.#stopped || performance.now() < this.#housekeepingAt) return
    const { retention, now, housekeepingMs = usualHousekeepingMs } = this.#options
    if (this.#prunedTo === undefined) {
      await noteLife(store.db, journalId, now())
      this.#prunedTo = 0
    }
    this.#storeBytes = await store.measure()
    this.#prunedTo = await prune(store.db, retention, now(), this.#storeBytes, this.#prunedTo)
    await store.shrink()
    this.#scheduleHousekeeping(this.#prunedTo === undefined ? housekeepingMs : pruneEveryMs)
  }

  #scheduleHousekeeping (delayMs: number): void {
    this.#housekeepingAt = performance.now() + delayMs
    clearTimeout(this.#housekeepingTimer)
    this.#housekeepingTimer = setTimeout(() => this.#wake(), delayMs + 1)
  }

  #noteSuccess (caughtUp: boolean): void {
    this.#retryMs = firstRetryMs
    if (this.#failing) this.#options.log('info', {}, 'trail: the store works again')
    this.#failing = false
    this.#options.report({ stored: this.#cursor, caughtUp, fault: null, message: null, storeBytes: this.#storeBytes })
  }

  async #recover (error: unknown): Promise<void> {
    const { classifyError, report, log } = this.#options
    const fault = classifyError(error)
    const message = error instanceof Error ? error.message : String(error)
    await this.#closeStore()
    this.#held.clear()
    if (fault === 'corrupt') this.#replace()
    if (!this.#failing) log('error', { fault, error: message }, 'trail: the store cannot be written; the journal keeps everything until it can')
    this.#failing = true
    report({ stored: this.#cursor, caughtUp: false, fault, message, storeBytes: this.#storeBytes })
    this.#cursor = undefined
    if (this.#stopped) return
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined
      this.#wake()
    }, this.#retryMs)
    this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs)
  }

  #replace (): void {
    try {
      const told = this.#options.replaceStore(this.#options.now())
      this.#options.log('error', { action: told }, 'trail: the store is damaged; a new one is begun')
    } catch (error) {
      this.#options.log('error', { error: String(error) }, 'trail: the store is damaged and cannot be moved aside')
    }
  }

  async #closeStore (): Promise<void> {
    const store = this.#store
    this.#store = undefined
    await store?.close().catch(() => {})
  }

  async stop (): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#retryTimer)
    clearTimeout(this.#housekeepingTimer)
    clearTimeout(this.#heldTimer)
    if (this.#running) await new Promise<void>(resolve => { this.#idle.push(resolve) })
    this.#options.reader.close()
    await this.#closeStore()
  }
}

interface HeldIntent {
  row: Value[]
  /** Where the stretch begins that it was read in. */
  from: StoredPosition
  sinceMs: number
}

/** Lets messages in between two stretches. */
function breathe (): Promise<void> {
  return new Promise(resolve => { setImmediate(resolve) })
}
