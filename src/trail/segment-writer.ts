import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { JournalLock } from './journal-lock.ts'
import { encodeHeader } from './lines.ts'
import { findJournalId, listSegments, makeFolder, segmentPath } from './segments.ts'

/** Exactly the file calls that writing a segment makes; tests make them fail. */
export type SegmentFiles = Pick<typeof fs, 'openSync' | 'writeSync' | 'ftruncateSync' | 'closeSync' | 'fstatSync' | 'fdatasync' | 'mkdirSync'>

/** Up to `bytes` of segment `segment` everything is written; all lower segments are complete. */
export interface Position {
  journalId: string
  /** What is in lower segments was written by an earlier run. */
  firstSegment: number
  segment: number
  bytes: number
}

export interface SegmentLimits {
  /** A segment is followed by the next when it is this long … */
  maxBytes: number
  /** … or this old. */
  maxAgeMs: number
}

const usualBufferBytes = 64 * 1024
const lookIntervalMs = 1000

/**
 * Appends text to the journal's segments: all of it, or none and an error.
 *
 * Why a file descriptor of our own, and not pino's destination (sonic-boom): that one keeps what it couldn't write and
 * emits an event, so a caller can't know whether *its* line is on the file; a failed write isn't taken back, and a short
 * one leaves a torn line in the middle. Here each batch is on the file as a whole before anybody goes on.
 */
export class SegmentWriter {
  readonly folder: string
  readonly #limits: SegmentLimits
  readonly #monotonic: () => number
  readonly #files: SegmentFiles
  #lock: JournalLock | undefined
  #journalId = ''
  #firstSegment = 0
  #segment = 0
  #fd: number | undefined
  #bytes = 0
  #openedAt = 0
  #lookedAt = 0
  #buffer = Buffer.allocUnsafe(usualBufferBytes)

  constructor (folder: string, limits: SegmentLimits, monotonic: () => number, files: SegmentFiles = fs) {
    this.folder = folder
    this.#limits = limits
    this.#monotonic = monotonic
    this.#files = files
  }

  /** Where writing stands; `undefined` until the journal could be locked. */
  get position (): Position | undefined {
    if (this.#lock === undefined) return undefined
    // Before this run's first line: all that an earlier one wrote.
    const bytes = this.#segment < this.#firstSegment ? Number.MAX_SAFE_INTEGER : this.#bytes
    return { journalId: this.#journalId, firstSegment: this.#firstSegment, segment: this.#segment, bytes }
  }

  /** Takes the lock and finds out where an earlier run stopped. Throws JournalInUseError, or what the system says. */
  begin (waitMs = 0): void {
    if (this.#lock !== undefined) return
    const lock = JournalLock.acquire(this.folder, waitMs)
    const segments = listSegments(this.folder)
    this.#lock = lock
    this.#journalId = findJournalId(this.folder, segments) ?? randomBytes(8).toString('hex')
    this.#segment = segments.at(-1) ?? 0
    this.#firstSegment = this.#segment + 1
  }

  append (text: string): void {
    this.begin()
    const fd = this.#chooseSegment(text.length)
    this.#writeWhole(fd, this.#bytes === 0 ? encodeHeader(this.#journalId, this.#segment) + text : text)
  }

  /** A short write goes on where it stopped. The position is ours, so what a failed one left is written over. */
  #writeWhole (fd: number, text: string): void {
    if (text.length * 3 > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(text.length * 3)
    const length = this.#buffer.write(text, 0, 'utf8')
    let written = 0
    while (written < length) {
      const count = this.#files.writeSync(fd, this.#buffer, written, length - written, this.#bytes + written)
      if (count === 0) throw Object.assign(new Error('the disk took nothing'), { code: 'ENOSPC' })
      written += count
    }
    this.#bytes += length
    if (this.#buffer.length > 16 * usualBufferBytes) this.#buffer = Buffer.allocUnsafe(usualBufferBytes)
  }

  #chooseSegment (length: number): number {
    const nowMs = this.#monotonic()
    if (nowMs - this.#lookedAt > lookIntervalMs) this.#lookForDeletion(nowMs)
    if (this.#fd === undefined) return this.#openNext(nowMs)
    const full = this.#bytes > 0 && (this.#bytes + length > this.#limits.maxBytes || nowMs - this.#openedAt > this.#limits.maxAgeMs)
    return full ? this.#rotate(nowMs, this.#fd) : this.#fd
  }

  /** Somebody who deletes the folder under us would make us write into nothing. */
  #lookForDeletion (nowMs: number): void {
    this.#lookedAt = nowMs
    if (this.#fd === undefined || this.#files.fstatSync(this.#fd).nlink > 0) return
    this.abandon()
    this.#lock?.release()
    this.#lock = JournalLock.acquire(this.folder)
  }

  /** Without a descriptor for the next segment (EMFILE), the old one is good for longer. */
  #rotate (nowMs: number, fd: number): number {
    try {
      const next = this.#openNext(nowMs)
      this.#files.closeSync(fd)
      return next
    } catch {
      this.#openedAt = nowMs
      return fd
    }
  }

  #openNext (nowMs: number): number {
    makeFolder(this.folder, this.#files.mkdirSync)
    const number = Math.max(this.#segment, listSegments(this.folder).at(-1) ?? 0) + 1
    const fd = this.#files.openSync(segmentPath(this.folder, number), 'wx', 0o600)
    this.#fd = fd
    this.#segment = number
    this.#bytes = 0
    this.#openedAt = nowMs
    return fd
  }

  /** After a failed append: what it left behind goes, or else the segment, whose readers skip a torn last line. */
  takeBack (): void {
    if (this.#fd === undefined) return
    try {
      this.#files.ftruncateSync(this.#fd, this.#bytes)
    } catch {
      this.abandon()
    }
  }

  /** Goes on in a new segment, whose first line then proves that writing works. */
  startOver (): void {
    if (this.#bytes > 0) this.abandon()
  }

  abandon (): void {
    if (this.#fd === undefined) return
    const fd = this.#fd
    this.#fd = undefined
    try {
      this.#files.closeSync(fd)
    } catch {
      // It is gone either way.
    }
  }

  /** Flushes what has been appended so far to the disk. */
  sync (done: (error: Error | null) => void): void {
    if (this.#fd === undefined) done(null)
    else this.#files.fdatasync(this.#fd, done)
  }

  release (): void {
    this.#lock?.release()
  }
}
