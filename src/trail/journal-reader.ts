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
/** Longer strings get memory of their own from the system, and give it back: 256 page faults a stretch. */
const longestText = 64 * 1024

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
    return { lines: splitLines(this.#buffer, last), bytes: from + last + 1 }
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

/** The lines before `end`, where the last one's newline is. */
function splitLines (buffer: Buffer, end: number): string[] {
  const lines: string[] = []
  for (let from = 0; from <= end;) {
    const to = end - from > longestText ? findCut(buffer, from) : end
    for (const line of buffer.toString('utf8', from, to).split('\n')) lines.push(line)
    from = to + 1
  }
  return lines
}

/** The last newline within reach, else the first one beyond. */
function findCut (buffer: Buffer, from: number): number {
  const cut = buffer.lastIndexOf(newline, from + longestText)
  return cut > from ? cut : buffer.indexOf(newline, from + longestText)
}
