import { closeSync, fstatSync, openSync, readSync, rmSync } from 'node:fs'
import { listSegments, segmentPath } from './segments.ts'

export interface Stretch {
  lines: string[]
  /** Where the next one begins. */
  bytes: number
}

const newline = 10
/** One stretch: some 4,000 lines. */
const chunkBytes = 1024 ** 2

/** Reads a journal's segments in pieces. Keeps the latest one open, so that its lines aren't lost if somebody deletes it. */
export class JournalReader {
  readonly folder: string
  #open: { segment: number, fd: number } | undefined
  readonly #buffer = Buffer.allocUnsafe(chunkBytes)

  constructor (folder: string) {
    this.folder = folder
  }

  list (): number[] {
    return listSegments(this.folder)
  }

  /** Whole lines from `from` on, up to `limit` if given, else to the end. No lines: nothing more is there. */
  read (segment: number, from: number, limit: number = Number.POSITIVE_INFINITY): Stretch {
    const fd = this.#descriptor(segment)
    const end = Math.min(limit, fstatSync(fd).size)
    const wanted = Math.min(chunkBytes, end - from)
    if (wanted <= 0) return { lines: [], bytes: from }
    const count = readSync(fd, this.#buffer, 0, wanted, from)
    const last = this.#buffer.subarray(0, count).lastIndexOf(newline)
    // A line longer than a chunk can't be ours: step over it.
    if (last < 0) return count === chunkBytes ? { lines: [''], bytes: from + count } : { lines: [], bytes: from }
    return { lines: this.#buffer.toString('utf8', 0, last).split('\n'), bytes: from + last + 1 }
  }

  #descriptor (segment: number): number {
    if (this.#open?.segment === segment) return this.#open.fd
    this.close()
    this.#open = { segment, fd: openSync(segmentPath(this.folder, segment), 'r') }
    return this.#open.fd
  }

  /** A segment that is stored goes. */
  delete (segment: number): void {
    if (this.#open?.segment === segment) this.close()
    rmSync(segmentPath(this.folder, segment), { force: true })
  }

  close (): void {
    if (this.#open !== undefined) closeSync(this.#open.fd)
    this.#open = undefined
  }
}
