import { decodeEscapes, mayHoldEscapes } from './escapes.ts'
import { KeyFilter } from './key-filter.ts'
import { folds, listPatterns, type KeyPattern } from './key-patterns.ts'
import type { Secret } from './secret.ts'

/** From (inclusive) and to (exclusive), in characters. */
export type Range = [from: number, to: number]

const blockLength = 4

/** Finds known keys, and stretches of their secret parts, in text, however they are written. */
export class KeyMatcher {
  readonly filter: KeyFilter
  readonly #patterns: readonly KeyPattern[]
  readonly #escapes: RegExp

  constructor (keys: readonly Secret[]) {
    this.#patterns = keys.flatMap(key => listPatterns(key.reveal()))
    this.filter = new KeyFilter(this.#patterns)
    this.#escapes = suspectEscapes(this.#patterns)
  }

  /** Whether escapes in `text` could hide a key: only characters that no encoder needs to escape are suspect. */
  mayHide (text: string): boolean {
    return mayHoldEscapes(text) && this.#escapes.test(text)
  }

  /** Whether `find` is worth its while. Cheap; never wrong when it says no. */
  mayHold (text: string): boolean {
    return this.filter.mayHold(text) ||
      (this.mayHide(text) && this.filter.mayHold(decodeEscapes(text).text))
  }

  /** Where keys stand, in order, without overlaps. What surrounds a secret part belongs to it: prefix and public part. */
  find (text: string): Range[] {
    const { text: decoded, starts } = decodeEscapes(text)
    const inDecoded = this.#findPlain(decoded).map(([from, to]): Range => [starts[from] as number, starts[to] as number])
    // Undoing escapes may take a character away from a key that stands right behind a lone `%`.
    return merge(decoded === text ? inDecoded : [...inDecoded, ...this.#findPlain(text)])
  }

  #findPlain (text: string): Range[] {
    const folded = { case: folds.case(text), base64: folds.base64(text) }
    return this.#patterns.flatMap(pattern => findPattern(pattern, folded[pattern.fold]))
  }

  /** How many characters at the end of `text` are the beginning, or the middle, of a written key; 0 if fewer than four. */
  measureTail (text: string): number {
    const folded = { case: folds.case(text), base64: folds.base64(text) }
    return Math.max(0, ...this.#patterns.map(pattern => measureTail(pattern, folded[pattern.fold])))
  }
}

/**
 * Blocks of the secret part, so placed that every window holds one, are looked for; where one is found the match is
 * extended both ways for as long as text and pattern agree.
 */
function findPattern ({ text: pattern, from, to, window }: KeyPattern, text: string): Range[] {
  const found: Range[] = []
  for (let block = from; block + blockLength <= to; block += window - blockLength + 1) {
    const wanted = pattern.slice(block, block + blockLength)
    for (let at = text.indexOf(wanted); at !== -1; at = text.indexOf(wanted, at + 1)) {
      const before = countBefore(pattern, block, text, at)
      const after = countAfter(pattern, block, text, at)
      if (Math.min(block + after, to) - Math.max(block - before, from) >= window) found.push([at - before, at + after])
    }
  }
  return found
}

function measureTail ({ text: pattern }: KeyPattern, text: string): number {
  const wanted = text.slice(-blockLength)
  if (wanted.length < blockLength) return 0
  let longest = 0
  for (let at = pattern.indexOf(wanted); at !== -1; at = pattern.indexOf(wanted, at + 1)) {
    // Nothing of the pattern is left to come.
    if (at + blockLength === pattern.length) continue
    longest = Math.max(longest, blockLength + countBefore(pattern, at, text, text.length - blockLength))
  }
  return longest
}

function countBefore (pattern: string, patternAt: number, text: string, textAt: number): number {
  let count = 0
  while (count < patternAt && count < textAt && pattern[patternAt - count - 1] === text[textAt - count - 1]) count++
  return count
}

function countAfter (pattern: string, patternAt: number, text: string, textAt: number): number {
  let count = 0
  while (patternAt + count < pattern.length && textAt + count < text.length && pattern[patternAt + count] === text[textAt + count]) count++
  return count
}

export function merge (ranges: Range[]): Range[] {
  const merged: Range[] = []
  for (const [from, to] of ranges.sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1)
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to)
    else merged.push([from, to])
  }
  return merged
}

/** Escapes of letters and digits, of what begins an escape, and of whatever else stands in these secret parts. */
function suspectEscapes (patterns: readonly KeyPattern[]): RegExp {
  const characters = new Set(patterns.flatMap(({ text, from, to }) => [...text.slice(from, to)]))
  for (const character of 'abcdefghijklmnopqrstuvwxyz0123456789%\\\\') characters.add(character)
  if (patterns.some(({ text, fold }) => fold === 'base64' && text.includes('+'))) characters.add('-')
  if (patterns.some(({ text, fold }) => fold === 'base64' && text.includes('/'))) characters.add('_')
  const hex = [...characters].flatMap(character => [character, character.toUpperCase()]).map(character => character.charCodeAt(0).toString(16))
  const codes = [...new Set(hex)].join('|')
  return new RegExp(`%(?:25)*(?:${codes})|\\\\u00(?:${codes})${characters.has('/') ? '|\\\\/' : ''}`, 'i')
}
