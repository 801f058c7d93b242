import { proxyError } from '../errors.ts'
import { Backlog } from './backlog.ts'
import { JournalInUseError } from './journal-lock.ts'
import { encodeAmendment, encodeFull, encodeIntent, encodeOutcome, type Amendment } from './lines.ts'
import type { OpenEntry } from './record.ts'
import { SegmentWriter, type Position, type SegmentFiles } from './segment-writer.ts'

export interface JournalOptions {
  folder: string
  /** What becomes of a request whose intent can't be written: refused, or forwarded and counted. */
  onFailure: 'block' | 'continue'
  /** Wait for the disk, not only for the operating system. */
  sync: boolean
  /** Monotonic milliseconds. */
  monotonic: () => number
  /** Called after lines were added: the worker may store up to there. */
  onWritten: (position: Position) => void
  /** Called when writing begins to fail, and with `undefined` when it works again. */
  onStateChange: (failure: Error | undefined) => void
  maxSegmentBytes?: number
  maxSegmentAgeMs?: number
  /** How much may wait in memory for the disk to come back. */
  maxBacklogBytes?: number
  files?: SegmentFiles
}

export interface JournalStatus {
  state: 'ok' | 'failing'
  /** What writing fails with, e.g. `ENOSPC`. */
  error: string | null
  /** Writes that failed in this run. */
  failures: number
  /** Requests refused (`block`) or forwarded (`continue`) without a record of them on the disk. */
  unrecorded: number
  /** Lines that wait in memory for the disk. */
  backlog: number
  /** Lines that found no room there and are lost. */
  lost: number
  /** Lines written in this run. */
  lines: number
}

type Done = (error?: Error) => void

interface Batch {
  lines: string[]
  /** Who waits for an intent among the lines, in step with `dones`. */
  entries: OpenEntry[]
  dones: Done[]
}

/** At the start only: a command line that stores leftovers (catch-up.ts) has the lock for a moment. */
const startWaitMs = 2500
/** A failed journal refuses this long without trying again: cheap under load, and yet soon recovered. */
const probeIntervalMs = 100
/** And without requests, who would notice that the disk is back? */
const retryIntervalMs = 1000

/**
 * The append-only journal: all lines of one turn of the event loop are written by one system call, and only then do the
 * requests that wait for theirs go on. It recovers from a full, read-only or failing disk by itself.
 */
export class Journal {
  readonly #options: JournalOptions
  readonly #writer: SegmentWriter
  readonly #backlog: Backlog
  #pending: Batch = emptyBatch()
  #scheduled = false
  #failure: Error | undefined
  #failedAt = 0
  #retryTimer: NodeJS.Timeout | undefined
  #syncing = false
  #unsynced: Batch = emptyBatch()
  readonly #counts = { failures: 0, unrecorded: 0, lines: 0 }

  /** Throws JournalInUseError if another process has the journal; any other failure is one to recover from. */
  constructor (options: JournalOptions) {
    this.#options = options
    this.#backlog = new Backlog(options.maxBacklogBytes ?? 8 * 1024 ** 2)
    const limits = { maxBytes: options.maxSegmentBytes ?? 16 * 1024 ** 2, maxAgeMs: options.maxSegmentAgeMs ?? 10 * 60_000 }
    this.#writer = new SegmentWriter(options.folder, limits, options.monotonic, options.files)
    try {
      this.#writer.begin(startWaitMs)
    } catch (error) {
      if (error instanceof JournalInUseError) throw error
      this.#noteFailure(error as Error)
    }
  }

  get position (): Position | undefined { return this.#writer.position }

  /** Puts the intent on the journal; `done` is called once it is written, or with `trail_unavailable`. */
  record (entry: OpenEntry, done: Done): void {
    this.#pending.entries.push(entry)
    this.#pending.dones.push(done)
    this.#add(encodeIntent(entry))
  }

  /** Puts the outcome on the journal, with the intent if that isn't there yet. */
  close (entry: OpenEntry): void {
    this.#add(entry.recorded ? encodeOutcome(entry) : encodeFull(entry))
  }

  amend (id: string, facts: Amendment): void {
    this.#add(encodeAmendment(id, facts))
  }

  #add (line: string): void {
    this.#pending.lines.push(line)
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.flush)
  }

  /** Writes what is pending, and what an outage left, now. */
  readonly flush = (): void => {
    this.#scheduled = false
    const batch = this.#pending
    if (batch.lines.length === 0 && this.#backlog.size === 0) return
    this.#pending = emptyBatch()
    const failure = this.#write(batch.lines)
    if (failure !== undefined) this.#refuse(batch, failure)
    else if (this.#options.sync && batch.dones.length > 0) this.#waitForDisk(batch)
    else release(batch)
  }

  #write (lines: string[]): Error | undefined {
    if (this.#failure !== undefined && this.#options.monotonic() - this.#failedAt < probeIntervalMs) return this.#failure
    try {
      if (this.#backlog.size > 0) this.#writeBacklog()
      this.#writer.append(lines.length === 1 ? lines[0] as string : lines.join(''))
    } catch (error) {
      return this.#noteFailure(error as Error)
    }
    this.#counts.lines += lines.length
    if (this.#failure !== undefined) this.#noteRecovery()
    this.#options.onWritten(this.#writer.position as Position)
    return undefined
  }

  #writeBacklog (): void {
    this.#backlog.write(text => this.#writer.append(text), lines => { this.#counts.lines += lines })
  }

  #noteFailure (error: Error): Error {
    this.#counts.failures++
    this.#failedAt = this.#options.monotonic()
    this.#writer.takeBack()
    const isNew = this.#failure === undefined
    this.#failure = error
    this.#retryTimer ??= setInterval(this.#retry, retryIntervalMs).unref()
    if (isNew) this.#options.onStateChange(error)
    return error
  }

  #noteRecovery (): void {
    this.#failure = undefined
    clearInterval(this.#retryTimer)
    this.#retryTimer = undefined
    this.#options.onStateChange(undefined)
  }

  readonly #retry = (): void => {
    this.#writer.startOver()
    this.#write([])
  }

  #refuse (batch: Batch, failure: Error): void {
    const blocks = this.#options.onFailure === 'block'
    // The intent of a refused request needn't wait: the line about its refusal holds it too.
    this.#backlog.keep(blocks ? batch.lines.filter(line => !line.startsWith('["i"')) : batch.lines)
    this.#turnAway(batch, failure)
  }

  #turnAway ({ entries, dones }: Batch, failure: Error): void {
    this.#counts.unrecorded += dones.length
    const blocks = this.#options.onFailure === 'block'
    for (let index = 0; index < dones.length; index++) {
      (entries[index] as OpenEntry).recorded = false
      ;(dones[index] as Done)(blocks ? proxyError('trail_unavailable', { cause: failure }) : undefined)
    }
  }

  /** Group commit: one flush to the disk at a time, for everybody who was written before it began. */
  #waitForDisk ({ entries, dones }: Batch): void {
    this.#unsynced.entries.push(...entries)
    this.#unsynced.dones.push(...dones)
    if (!this.#syncing) this.#sync()
  }

  #sync (): void {
    const batch = this.#unsynced
    this.#unsynced = emptyBatch()
    this.#syncing = true
    this.#writer.sync(error => {
      this.#syncing = false
      if (error === null) release(batch)
      else this.#turnAwayUnsynced(batch, error)
      if (this.#unsynced.dones.length > 0) this.#sync()
    })
  }

  /** After a failed flush nobody knows what is on the disk, and a second one may lie: a new segment is begun. */
  #turnAwayUnsynced (batch: Batch, error: Error): void {
    this.#writer.abandon()
    this.#turnAway(batch, this.#noteFailure(error))
  }

  status (): JournalStatus {
    const failure = this.#failure as NodeJS.ErrnoException | undefined
    return {
      state: failure === undefined ? 'ok' : 'failing',
      error: failure === undefined ? null : failure.code ?? failure.message,
      backlog: this.#backlog.size,
      lost: this.#backlog.lost,
      ...this.#counts
    }
  }

  /** Writes what is left. The lock stays until `release`, as the worker may still be reading. */
  end (): void {
    this.flush()
    clearInterval(this.#retryTimer)
    this.#writer.abandon()
  }

  release (): void {
    this.#writer.release()
  }
}

function emptyBatch (): Batch {
  return { lines: [], entries: [], dones: [] }
}

function release ({ entries, dones }: Batch): void {
  for (let index = 0; index < dones.length; index++) {
    (entries[index] as OpenEntry).recorded = true
    ;(dones[index] as Done)()
  }
}
