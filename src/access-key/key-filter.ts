import type { KeyPattern } from './key-patterns.ts'

const gram = 4
/**
 * 65,536 bits, 8 KiB: a table this small is warm again after a few dozen look-ups, and one place in a hundred gives cause
 * to look closer. (Larger ones win in a benchmark loop and lose in the proxy, where they are cold for every answer.)
 */
const bits = 16

/** Fewer characters than this at the end of a text are no sign of a key. */
export const leastTail = 2 * gram

/**
 * A quick look for known keys: it never misses one and is almost never wrong.
 *
 * Every window of a pattern's secret part holds four characters in a row that begin at a multiple of `stride`, so only
 * every `stride`-th place is looked at: do its four characters stand in a pattern? A table of hashes answers (a Bloom
 * filter), and where it says yes, a set of all eight characters in a row decides. Both are blind to the case of letters.
 */
export class KeyFilter {
  readonly #secretParts = new Uint8Array(1 << bits - 3)
  readonly #wholes = new Uint8Array(1 << bits - 3)
  readonly #eights = new Set<number>()
  readonly #stride: number

  constructor (patterns: readonly KeyPattern[]) {
    this.#stride = Math.max(1, Math.min(...patterns.map(pattern => pattern.window)) - gram + 1)
    for (const { text, from, to } of patterns.flatMap(addUrlAlphabet)) {
      fill(this.#secretParts, text, from, to)
      fill(this.#wholes, text, 0, text.length)
      for (let at = from; at + 2 * gram <= to; at++) this.#eights.add(pair(readText(text, at), readText(text, at + gram)))
    }
  }

  /** Whether a window of a key could be in `text`, written without escapes. */
  mayHold (text: string): boolean {
    const stride = this.#stride
    for (let at = findInText(text, stride - 1, stride, this.#secretParts); at !== -1; at = findInText(text, at + stride, stride, this.#secretParts)) {
      if (this.#confirmText(text, at)) return true
    }
    return false
  }

  /** The same of bytes. */
  mayHoldBytes (bytes: Buffer): boolean {
    const stride = this.#stride
    for (let at = findInBytes(bytes, stride - 1, stride, this.#secretParts); at !== -1; at = findInBytes(bytes, at + stride, stride, this.#secretParts)) {
      if (this.#confirmBytes(bytes, at)) return true
    }
    return false
  }

  /** Whether eight characters that begin or end with these four stand in a pattern. */
  #confirmText (text: string, at: number): boolean {
    const here = readText(text, at)
    return (at >= gram && this.#eights.has(pair(readText(text, at - gram), here))) ||
      (at + 2 * gram <= text.length && this.#eights.has(pair(here, readText(text, at + gram))))
  }

  #confirmBytes (bytes: Buffer, at: number): boolean {
    const here = readBytes(bytes, at)
    return (at >= gram && this.#eights.has(pair(readBytes(bytes, at - gram), here))) ||
      (at + 2 * gram <= bytes.length && this.#eights.has(pair(here, readBytes(bytes, at + gram))))
  }

  /** Whether the last `leastTail` characters of `text` could belong to a key that goes on after them. */
  mayEndInside (text: string): boolean {
    const end = text.length
    return end >= leastTail && has(this.#wholes, readText(text, end - gram)) && has(this.#wholes, readText(text, end - 2 * gram))
  }

  /** The same of bytes. */
  mayBytesEndInside (bytes: Buffer): boolean {
    const end = bytes.length
    return end >= leastTail && has(this.#wholes, readBytes(bytes, end - gram)) && has(this.#wholes, readBytes(bytes, end - 2 * gram))
  }
}

function addUrlAlphabet (pattern: KeyPattern): KeyPattern[] {
  if (pattern.fold !== 'base64' || !/[+/]/.test(pattern.text)) return [pattern]
  return [pattern, { ...pattern, text: pattern.text.replaceAll('+', '-').replaceAll('/', '_') }]
}

function fill (table: Uint8Array, text: string, from: number, to: number): void {
  for (let at = from; at + gram <= to; at++) add(table, readText(text, at))
}

/**
 * The next place worth a closer look, -1 if there is none. The loops call nothing that the compiler does not inline:
 * that alone makes them twice as fast, and reading through a view twice as fast again.
 */
function findInBytes (bytes: Buffer, from: number, stride: number, table: Uint8Array): number {
  const last = bytes.length - gram
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = from; at <= last; at += stride) {
    if (has(table, view.getInt32(at, true) | caseBits)) return at
  }
  return -1
}

function findInText (text: string, from: number, stride: number, table: Uint8Array): number {
  const last = text.length - gram
  for (let at = from; at <= last; at += stride) {
    if (has(table, readText(text, at))) return at
  }
  return -1
}

/** Bit 5 tells the case of a letter. */
const caseBits = 0x20202020

/** Four characters as one number. */
function readText (text: string, at: number): number {
  return (text.charCodeAt(at) | text.charCodeAt(at + 1) << 8 | text.charCodeAt(at + 2) << 16 | text.charCodeAt(at + 3) << 24) | caseBits
}

function readBytes (bytes: Buffer, at: number): number {
  return bytes.readInt32LE(at) | caseBits
}

function hash (four: number): number {
  return Math.imul(four, 0x9e3779b1) >>> (32 - bits)
}

function has (table: Uint8Array, four: number): boolean {
  const place = hash(four)
  return ((table[place >>> 3] as number) >> (place & 7) & 1) === 1
}

function add (table: Uint8Array, four: number): void {
  const place = hash(four)
  table[place >>> 3] = (table[place >>> 3] as number) | 1 << (place & 7)
}

/** Two times four characters as one number that is as good as theirs alone. */
function pair (first: number, second: number): number {
  return (first >>> 0) * 0x200000 + (Math.imul(second, 0x85ebca6b) >>> 11)
}
