import { closeBrace, closeBracket, colon, comma, isSpace, openBrace, openBracket, quote } from './bytes.ts'
import { ItemCutter, type CutterOptions, type Run } from './item-cutter.ts'
import { ListError } from './list-error.ts'
import { ValueScanner } from './value-scanner.ts'

/** What a list says of itself beside its items, `undefined` for what it doesn't say. */
export interface ListFacts {
  hasMore: boolean
  after: string | undefined
  continuationMarker: string | undefined
  totalCount: number | undefined
}

type State = 'start' | 'first-key' | 'key' | 'in-key' | 'colon' | 'value' | 'in-value' | 'after-value' | 'first-item' | 'item' | 'in-item' | 'after-item' | 'end'

/** `data` is among them for `null`, which stands for an empty list. */
const wanted = new Set(['has_more', 'after', 'continuation_marker', 'total_count', 'data'])
const maxKeyBytes = 256
const maxMemberBytes = 4096

/**
 * Reads a list of the API as it arrives, `{"object":"list","data":[…],"has_more":…}` with its members in any order, or a bare
 * array, and passes the items on byte for byte.
 *
 * Chunks become the scanner's: items are cut out of them, and separators written into them.
 */
export class ListScanner {
  readonly items: ItemCutter
  readonly #value = new ValueScanner(false)
  readonly #members = new Map<string, string>()
  #state: State = 'start'
  /** An array without an object around it. */
  #bare = false
  #hasData = false
  #key = ''
  /** Of the member at hand, if it is wanted. */
  #text: string | undefined

  constructor (options: CutterOptions) {
    this.items = new ItemCutter(options)
  }

  /** What may be passed on by now. @throws ListError */
  push (chunk: Buffer): Run[] {
    let at = 0
    while (at < chunk.length) at = this.#step(chunk, at)
    return this.items.leaveChunk(chunk)
  }

  /** The text is whole. @throws ListError if it isn't a whole list */
  end (): ListFacts {
    if (this.#state !== 'end') throw new ListError('incomplete')
    if (!this.#bare && !this.#hasData) throw new ListError('not-a-list')
    if (this.#read('data') !== undefined) throw new ListError('malformed')
    const total = this.#read('total_count')
    return {
      hasMore: this.#read('has_more') === true,
      after: this.#readToken('after'),
      continuationMarker: this.#readToken('continuation_marker'),
      totalCount: typeof total === 'number' ? total : undefined
    }
  }

  #read (name: string): unknown {
    const text = this.#members.get(name)
    return text === undefined ? undefined : parse(text) ?? undefined
  }

  #readToken (name: string): string | undefined {
    const value = this.#read(name)
    return typeof value === 'string' && value !== '' ? value : undefined
  }

  #step (chunk: Buffer, at: number): number {
    const byte = chunk[at] as number
    switch (this.#state) {
      case 'in-item': return this.#scanItem(chunk, at)
      case 'in-value': return this.#scanValue(chunk, at)
      case 'in-key': return this.#scanKey(chunk, at)
      case 'after-item': return this.#leaveItem(chunk, at, byte)
      default: return isSpace(byte) ? at + 1 : this.#take(byte, chunk, at)
    }
  }

  /** What stands between keys, values and items. */
  #take (byte: number, chunk: Buffer, at: number): number {
    switch (this.#state) {
      case 'start': return this.#begin(byte, at)
      case 'first-key': return byte === closeBrace ? this.#expect(true, 'end', at) : this.#beginKey(byte, at)
      case 'key': return this.#beginKey(byte, at)
      case 'colon': return this.#expect(byte === colon, 'value', at)
      case 'value': return this.#beginValue(byte, at)
      case 'after-value': return this.#expect(byte === comma || byte === closeBrace, byte === comma ? 'key' : 'end', at)
      case 'first-item': return byte === closeBracket ? this.#endItems(at) : this.#beginItem(byte, chunk, at)
      case 'item': return this.#beginItem(byte, chunk, at)
      default: throw new ListError('malformed')
    }
  }

  #expect (met: boolean, next: State, at: number): number {
    if (!met) throw new ListError('malformed')
    this.#state = next
    return at + 1
  }

  #begin (byte: number, at: number): number {
    this.#bare = byte === openBracket
    return this.#expect(this.#bare || byte === openBrace, this.#bare ? 'first-item' : 'first-key', at)
  }

  #beginKey (byte: number, at: number): number {
    if (byte !== quote) throw new ListError('malformed')
    this.#value.begin(byte)
    this.#key = ''
    this.#state = 'in-key'
    return at
  }

  #scanKey (chunk: Buffer, at: number): number {
    const end = this.#value.scan(chunk, at)
    if (this.#key.length <= maxKeyBytes) this.#key += chunk.toString('latin1', at, Math.min(end, at + maxKeyBytes))
    if (!this.#value.done) return end
    this.#key = this.#key.length > maxKeyBytes ? '' : String(parse(this.#key))
    this.#state = 'colon'
    return end
  }

  #beginValue (byte: number, at: number): number {
    const isData = this.#key === 'data'
    if (isData && this.#hasData) throw new ListError('malformed')
    if (isData) this.#hasData = true
    if (isData && byte === openBracket) return this.#expect(true, 'first-item', at)
    if (isData && (byte === openBrace || byte === quote)) throw new ListError('not-a-list')
    this.#value.begin(byte)
    this.#text = wanted.has(this.#key) ? '' : undefined
    this.#state = 'in-value'
    return at
  }

  #scanValue (chunk: Buffer, at: number): number {
    const end = this.#value.scan(chunk, at)
    if (this.#text !== undefined) this.#text = this.#text.length + end - at <= maxMemberBytes ? this.#text + chunk.toString('latin1', at, end) : undefined
    if (!this.#value.done) return end
    if (this.#text !== undefined) this.#members.set(this.#key, this.#text)
    this.#state = 'after-value'
    return end
  }

  #beginItem (byte: number, chunk: Buffer, at: number): number {
    if (byte === comma || byte === closeBracket || byte === closeBrace || byte === colon) throw new ListError('malformed')
    this.items.begin(byte, at)
    return this.#scanItem(chunk, at)
  }

  #scanItem (chunk: Buffer, at: number): number {
    const end = this.items.scan(chunk, at)
    this.#state = this.items.inItem ? 'in-item' : 'after-item'
    return end
  }

  #leaveItem (chunk: Buffer, at: number, byte: number): number {
    if (byte === comma) {
      const next = chunk[at + 1]
      this.items.separate(chunk, at, next !== undefined && !isSpace(next))
      return this.#expect(true, 'item', at)
    }
    this.items.closeRun(chunk)
    if (byte === closeBracket) return this.#endItems(at)
    if (!isSpace(byte)) throw new ListError('malformed')
    return at + 1
  }

  #endItems (at: number): number {
    this.#state = this.#bare ? 'end' : 'after-value'
    return at + 1
  }
}

/** `latin1`: the bytes of a JSON text, one a character. */
function parse (latin1: string): unknown {
  try {
    return JSON.parse(Buffer.from(latin1, 'latin1').toString('utf8'))
  } catch {
    throw new ListError('malformed')
  }
}
