import { findSecretPart } from './key-parts.ts'

/** A stretch of a key this long is a leak, however it is written. */
export const windowLength = 16

/** One way of writing a known key, made comparable by `fold`. */
export interface KeyPattern {
  /** The whole key, `pelion_` in front, as this way of writing has it. */
  text: string
  /** Where the secret part begins and ends in `text`; what surrounds it may be shown on its own. */
  from: number
  to: number
  /** How many characters of the secret part, at least, any `windowLength` characters of the key leave in this writing. */
  window: number
  fold: 'case' | 'base64'
}

/** Letters of either case are one; so are the two alphabets of base64. */
export const folds: Record<KeyPattern['fold'], (text: string) => string> = {
  // Lower case can be longer than what it was made from (İ), and positions must stay what they are.
  case: text => {
    const lower = text.toLowerCase()
    return lower.length === text.length ? lower : text.replace(/[A-Z]+/g, letters => letters.toLowerCase())
  },
  base64: text => text.replaceAll('-', '+').replaceAll('_', '/')
}

/**
 * All ways of writing a key that are looked for, beside the escapes that decoding undoes: as it is, in hex, backwards,
 * and in base64 at each of the three alignments that whatever stands before it can give it.
 */
export function listPatterns (key: string): KeyPattern[] {
  const text = 'pelion_' + key
  const from = 'pelion_'.length + findSecretPart(key)
  const window = Math.min(windowLength, text.length - from)
  const plain = text.toLowerCase()
  return [
    { text: plain, from, to: text.length, window, fold: 'case' },
    { text: plain.split('').reverse().join(''), from: 0, to: text.length - from, window, fold: 'case' },
    { text: Buffer.from(text, 'latin1').toString('hex'), from: 2 * from, to: 2 * text.length, window: 2 * window, fold: 'case' },
    ...[0, 1, 2].map(alignment => encodeAligned(text, from, window, alignment))
  ]
}

/** Characters that mix bits of the key with those of a neighbour are left out: they can be anything. */
function encodeAligned (text: string, from: number, window: number, alignment: number): KeyPattern {
  const encoded = Buffer.from('\0'.repeat(alignment) + text, 'latin1').toString('base64')
  const first = firstWhole(alignment)
  const end = endWhole(alignment + text.length)
  return {
    text: encoded.slice(first, end),
    from: firstWhole(alignment + from) - first,
    to: end - first,
    window: Math.floor((8 * window - 4) / 6),
    fold: 'base64'
  }
}

/** The first base64 character made of nothing before the byte at `offset`. */
function firstWhole (offset: number): number { return Math.ceil(offset * 8 / 6) }

/** One past the last base64 character made of nothing from the byte at `offset` on. */
function endWhole (offset: number): number { return Math.floor(offset * 8 / 6) }
