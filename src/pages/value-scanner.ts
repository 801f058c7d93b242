import { backslash, carriageReturn, closeBrace, closeBracket, comma, isSpace, lineFeed, openBrace, openBracket, quote } from './bytes.ts'
import { ListError } from './list-error.ts'

/** Where a string can't simply go on: at a quote, a backslash or a control character, which JSON doesn't allow there. */
const stops = new Uint8Array(256)
stops.fill(1, 0, 0x20)
stops[quote] = stops[backslash] = 1

const space = 0x20
const letterI = 0x69
const letterD = 0x64

/** Longest key or id that is looked at; a longer one is neither. */
const maxHeldBytes = 4096

type StringKind = 'none' | 'plain' | 'key' | 'id'

/**
 * Finds the end of one JSON value that comes in pieces, and the text of its member `id` if it is an object that has one.
 * It looks at each byte once, keeps nothing of the value and makes nothing while it goes: entities are many, and some are huge.
 */
export class ValueScanner {
  /** Line breaks between tokens become spaces, in place: the value fits on one line, at the same length. */
  readonly #oneLine: boolean
  #depth = 0
  #scalar = false
  #string: StringKind = 'none'
  /** The byte behind a backslash stands in the next piece. */
  #escaped = false
  #isObject = false
  #expectsKey = false
  #expectsId = false
  /** The key or id that goes on in the next piece. */
  #held = ''
  /** The id of the value at hand: where it lies in this piece, or -1 and its text. */
  #idStart = -1
  #idEnd = -1
  #id: string | undefined
  /** Those of the value for which `keepId` was called. */
  #keptStart = -1
  #keptEnd = -1
  #kept: string | undefined
  /** The value's last byte has been seen. */
  done = false

  constructor (oneLine: boolean) {
    this.#oneLine = oneLine
  }

  /** `first` is the value's first byte, which `scan` is then given. */
  begin (first: number): void {
    this.#depth = 0
    this.#scalar = first !== openBrace && first !== openBracket && first !== quote
    this.#isObject = first === openBrace
    this.#string = 'none'
    this.#escaped = this.#expectsKey = this.#expectsId = this.done = false
    this.#idStart = -1
    this.#id = undefined
  }

  /** Where the value ends in `chunk`, or the chunk's end when it doesn't. */
  scan (chunk: Buffer, from: number): number {
    if (this.#scalar) return this.#scanScalar(chunk, from)
    const at = this.#string === 'none' ? from : this.#goOnInString(chunk, from)
    return this.done ? at : this.#scanNested(chunk, at)
  }

  /** Remembers the id of the value that has just ended, while the next ones are scanned. */
  keepId (): void {
    this.#keptStart = this.#idStart
    this.#keptEnd = this.#idEnd
    this.#kept = this.#id
  }

  /** The id that was kept, `chunk` being the piece at hand. */
  readKeptId (chunk: Buffer): string | undefined {
    if (this.#keptStart >= 0) this.#kept = decode(chunk.subarray(this.#keptStart, this.#keptEnd))
    this.#keptStart = -1
    return this.#kept
  }

  /** Call when `chunk` is about to be let go: what lies in it of an id is read. */
  leaveChunk (chunk: Buffer): void {
    this.readKeptId(chunk)
    if (this.#idStart < 0) return
    this.#id = decode(chunk.subarray(this.#idStart, this.#idEnd))
    this.#idStart = -1
  }

  #scanScalar (chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at] as number
      if (byte !== comma && byte !== closeBracket && byte !== closeBrace && !isSpace(byte)) continue
      this.done = true
      return at
    }
    return chunk.length
  }

  #scanNested (chunk: Buffer, from: number): number {
    let at = from
    let depth = this.#depth
    const length = chunk.length
    while (at < length) {
      const byte = chunk[at++] as number
      if (byte === quote) {
        const end = depth > 0 ? skipPlain(chunk, at) : -1
        if (end >= 0) {
          if (depth === 1) this.#passString(chunk, at, end - 1)
          at = end
          continue
        }
        this.#depth = depth
        at = this.#scanString(chunk, at)
        if (this.done) return at
      } else if (byte === openBrace || byte === openBracket) {
        if (++depth === 1) this.#expectsKey = this.#isObject
      } else if (byte === closeBrace || byte === closeBracket) {
        if (--depth > 0) continue
        this.done = true
        return at
      } else if (byte === comma) {
        if (depth === 1) this.#expectsKey = this.#isObject
      } else if (byte < space && this.#oneLine && (byte === lineFeed || byte === carriageReturn)) {
        chunk[at - 1] = space
      }
    }
    this.#depth = depth
    return length
  }

  /** A string of the object itself, whole and without escapes, as almost all are. */
  #passString (chunk: Buffer, from: number, end: number): void {
    if (this.#expectsKey) {
      this.#expectsKey = false
      this.#expectsId = end - from === 2 && chunk[from] === letterI && chunk[from + 1] === letterD
    } else if (this.#expectsId) {
      this.#expectsId = false
      this.#idStart = from
      this.#idEnd = end
    }
  }

  /** `from` is behind the opening quote. */
  #scanString (chunk: Buffer, from: number): number {
    this.#string = 'plain'
    if (this.#depth === 1 && this.#expectsKey) this.#string = 'key'
    else if (this.#depth === 1 && this.#expectsId) this.#string = 'id'
    this.#expectsId = false
    this.#held = ''
    return this.#goOnInString(chunk, from)
  }

  #goOnInString (chunk: Buffer, from: number): number {
    const end = this.#findQuote(chunk, from)
    const kind = this.#string
    if (end < 0) {
      if (kind !== 'plain') this.#hold(chunk.subarray(from))
      return chunk.length
    }
    this.#string = 'none'
    if (this.#depth === 0) this.done = true
    else if (kind === 'key') this.#endKey(chunk, from, end)
    else if (kind === 'id') this.#endId(chunk, from, end)
    return end + 1
  }

  /** The closing quote, or -1 if it isn't in this piece. */
  #findQuote (chunk: Buffer, from: number): number {
    const length = chunk.length
    let at = this.#escaped ? from + 1 : from
    this.#escaped = false
    while (at < length) {
      const byte = chunk[at] as number
      if (stops[byte] === 0) at++
      else if (byte === quote) return at
      else if (byte === backslash) at += 2
      else throw new ListError('malformed')
    }
    // A backslash was the last byte: what follows is escaped by it.
    this.#escaped = at > length
    return -1
  }

  #hold (part: Buffer): void {
    if (this.#held.length + part.length <= maxHeldBytes) {
      this.#held += part.toString('latin1')
      return
    }
    this.#string = 'plain'
    this.#expectsKey = false
  }

  #endKey (chunk: Buffer, from: number, end: number): void {
    this.#expectsKey = false
    this.#expectsId = isId(this.#held + chunk.toString('latin1', from, end))
  }

  #endId (chunk: Buffer, from: number, end: number): void {
    if (this.#held === '') {
      this.#idStart = from
      this.#idEnd = end
      return
    }
    const bytes = Buffer.concat([Buffer.from(this.#held, 'latin1'), chunk.subarray(from, end)])
    this.#idStart = -1
    this.#id = decode(bytes)
  }
}

/** A key may be written with escapes. */
/** Behind the string that begins at `from`, or -1 if it isn't that simple: it has escapes or goes on in the next piece. */
function skipPlain (chunk: Buffer, from: number): number {
  const length = chunk.length
  let at = from
  while (at < length && stops[chunk[at] as number] === 0) at++
  return at < length && chunk[at] === quote ? at + 1 : -1
}

function isId (raw: string): boolean {
  return raw === 'id' || (raw.includes('\\') && parseString(raw) === 'id')
}

function decode (raw: Buffer): string | undefined {
  const text = raw.toString('utf8')
  return text.includes('\\') ? parseString(text) : text
}

function parseString (raw: string): string | undefined {
  try {
    return JSON.parse(`"${raw}"`) as string
  } catch {
    return undefined
  }
}
