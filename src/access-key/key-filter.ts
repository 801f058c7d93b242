import type { KeyPattern } from './key-patterns.ts'

const gram = 4
const bits = 15

/**
 * A quick look for known keys: it never misses one and is almost never wrong.
 *
 * Every window of a pattern's secret part holds four characters in a row that begin at a multiple of `stride`, so only
 * every `stride`-th place is looked at: do its four characters, and four beside them, stand in a pattern? A table of
 * hashes answers (a Bloom filter), blind to the case of letters. A kilobyte takes about a tenth of a microsecond.
 */
export class KeyFilter {
  readonly #secretParts = new Uint8Array(1 << bits)
  readonly #wholes = new Uint8Array(1 << bits)
  readonly #stride: number

  constructor (patterns: readonly KeyPattern[]) {
    this.#stride = Math.max(1, Math.min(...patterns.map(pattern => pattern.window)) - gram + 1)
    for (const { text, from, to } of patterns.flatMap(addUrlAlphabet)) {
      fill(this.#secretParts, text, from, to)
      fill(this.#wholes, text, 0, text.length)
    }
  }

  /** Whether a window of a key could be in `text`, written without escapes. */
  mayHold (text: string): boolean {
    const table = this.#secretParts
    const last = text.length - gram
    for (let at = this.#stride - 1; at <= last; at += this.#stride) {
      if (table[hashText(text, at)] === 1) {
        if (at >= gram && table[hashText(text, at - gram)] === 1) return true
        if (at + gram <= last && table[hashText(text, at + gram)] === 1) return true
      }
    }
    return false
  }

  /** The same of bytes. */
  mayHoldBytes (bytes: Uint8Array): boolean {
    const table = this.#secretParts
    const last = bytes.length - gram
    for (let at = this.#stride - 1; at <= last; at += this.#stride) {
      if (table[hashBytes(bytes, at)] === 1) {
        if (at >= gram && table[hashBytes(bytes, at - gram)] === 1) return true
        if (at + gram <= last && table[hashBytes(bytes, at + gram)] === 1) return true
      }
    }
    return false
  }

  /** Whether the last bytes could belong to a key that goes on after them. */
  mayEndInside (bytes: Uint8Array): boolean {
    return bytes.length >= gram && this.#wholes[hashBytes(bytes, bytes.length - gram)] === 1
  }
}

function addUrlAlphabet (pattern: KeyPattern): KeyPattern[] {
  if (pattern.fold !== 'base64' || !/[+/]/.test(pattern.text)) return [pattern]
  return [pattern, { ...pattern, text: pattern.text.replaceAll('+', '-').replaceAll('/', '_') }]
}

function fill (table: Uint8Array, text: string, from: number, to: number): void {
  for (let at = from; at + gram <= to; at++) table[hashText(text, at)] = 1
}

function hashText (text: string, at: number): number {
  return hash(text.charCodeAt(at) | text.charCodeAt(at + 1) << 8 | text.charCodeAt(at + 2) << 16 | text.charCodeAt(at + 3) << 24)
}

function hashBytes (bytes: Uint8Array, at: number): number {
  return hash((bytes[at] as number) | (bytes[at + 1] as number) << 8 | (bytes[at + 2] as number) << 16 | (bytes[at + 3] as number) << 24)
}

/** Bit 5 tells the case of a letter. */
function hash (four: number): number {
  return Math.imul(four | 0x20202020, 0x9e3779b1) >>> (32 - bits)
}
