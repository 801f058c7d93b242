import { ValueScanner } from './value-scanner.ts'

/** Items that are to be passed on: one or more whole ones, or a part of one that is too large to wait for. */
export interface Run {
  pieces: Buffer[]
  /** An item begins with it: before it goes what stands between items. */
  begins: boolean
  /** Its last item is whole. */
  ends: boolean
}

export interface CutterOptions {
  /** Stands between two items that follow one another. */
  separator: number
  /** Line breaks inside an item, which JSON has only between tokens, become spaces. */
  oneLine: boolean
  /** Items that are passed on; the rest is read all the same. */
  maxItems?: number
  /** An unfinished item that is larger than this is passed on in pieces. */
  maxHeldBytes?: number
}

const defaultMaxHeldBytes = 4 * 1024 * 1024

/**
 * Cuts the items of an array out of the chunks they come in. An item is passed on once it is whole, so that a list that breaks
 * off doesn't leave half of one; only one that is larger than `maxHeldBytes` isn't waited for. Items with nothing but a comma
 * between them, as is usual, are passed on in one piece, the comma replaced by the separator in place.
 */
export class ItemCutter {
  readonly #options: Required<CutterOptions>
  readonly #item: ValueScanner
  #inItem = false
  /** Where the run begins that is to be passed on, in the chunk at hand; -1 for none. */
  #runStart = -1
  #itemStart = 0
  #itemEnd = 0
  /** The item at hand began in an earlier chunk; what came of it and hasn't been passed on. */
  #carried = false
  #held: Buffer[] = []
  #heldBytes = 0
  #runs: Run[] = []
  /** Items passed on. */
  items = 0
  /** Items that were left out, being more than `maxItems`. */
  leftOut = 0
  /** The id of the first item. */
  firstId: string | undefined
  /** The id of the last item that was passed on. */
  lastId: string | undefined
  /** A part of an unfinished item has been passed on. */
  spilled = false

  constructor (options: CutterOptions) {
    this.#options = { maxItems: Infinity, maxHeldBytes: defaultMaxHeldBytes, ...options }
    this.#item = new ValueScanner(options.oneLine)
  }

  /** An item begins at `at` with the byte `first`. */
  begin (first: number, at: number): void {
    this.#item.begin(first)
    this.#inItem = true
    this.#itemStart = at
    if (this.#runStart < 0 && !this.#isFull) this.#runStart = at
  }

  /** Where the item ends in `chunk`, or the chunk's end when it doesn't. */
  scan (chunk: Buffer, at: number): number {
    const end = this.#item.scan(chunk, at)
    if (this.#item.done) this.#endItem(chunk, end)
    return end
  }

  /** The item at hand goes on. */
  get inItem (): boolean { return this.#inItem }

  /** A comma stands at `at`; `adjacent`: right between two items. */
  separate (chunk: Buffer, at: number, adjacent: boolean): void {
    if (!adjacent) this.closeRun(chunk)
    else if (this.#runStart >= 0) chunk[at] = this.#options.separator
  }

  closeRun (chunk: Buffer): void {
    if (this.#runStart < 0) return
    if (this.#itemEnd > this.#runStart) {
      this.lastId = this.#item.readKeptId(chunk)
      this.#runs.push({ pieces: [chunk.subarray(this.#runStart, this.#itemEnd)], begins: true, ends: true })
    }
    this.#runStart = -1
  }

  /** The chunk has been read: what may be passed on by now. */
  leaveChunk (chunk: Buffer): Run[] {
    this.closeRun(chunk)
    if (this.#inItem && !this.#isFull) this.#hold(this.#carried ? chunk : chunk.subarray(this.#itemStart))
    this.#item.leaveChunk(chunk)
    this.#itemEnd = 0
    const runs = this.#runs
    this.#runs = []
    return runs
  }

  get #isFull (): boolean { return this.items >= this.#options.maxItems }

  #endItem (chunk: Buffer, end: number): void {
    this.#inItem = false
    this.#itemEnd = end
    if (this.#isFull) {
      this.leftOut++
      return
    }
    this.items++
    this.#item.keepId()
    if (this.items === 1) this.firstId = this.#item.readKeptId(chunk)
    if (this.#carried) this.#endCarried(chunk, end)
    if (this.#isFull) this.closeRun(chunk)
  }

  #endCarried (chunk: Buffer, end: number): void {
    this.#runs.push({ pieces: [...this.#held, chunk.subarray(0, end)], begins: !this.spilled, ends: true })
    this.lastId = this.#item.readKeptId(chunk)
    this.#held = []
    this.#heldBytes = 0
    this.#carried = this.spilled = false
  }

  /** An item goes on in the next chunk: its beginning waits, unless it is too large. */
  #hold (part: Buffer): void {
    this.#carried = true
    this.#held.push(part)
    this.#heldBytes += part.length
    if (this.#heldBytes <= this.#options.maxHeldBytes) return
    this.#runs.push({ pieces: this.#held, begins: !this.spilled, ends: false })
    this.#held = []
    this.#heldBytes = 0
    this.spilled = true
  }
}
