import { EscapeCheck } from './escape-check.ts'
import { decodeEscapes, dropOpenEscape } from './escapes.ts'
import { KeyFilter, leastTail } from './key-filter.ts'
import { folds, listPatterns, type KeyPattern } from './key-patterns.ts'
import type { Secret } from './secret.ts'

/** From (inclusive) and to (exclusive), in characters. */
export type Range = [from: number, to: number]

const blockLength = 4

/** Finds known keys, and stretches of their secret parts, in text, however they are written. */
export class KeyMatcher {
  readonly filter: KeyFilter
  readonly #patterns: readonly KeyPattern[]
  readonly #escapes: EscapeCheck
  /** An escaped slash, as JSON may have it, can stand in a key. */
  readonly holdsSlash: boolean
  /** Characters of the longest way to write one of the keys, without escapes. */
  readonly longest: number

  constructor (keys: readonly Secret[]) {
    this.#patterns = keys.flatMap(key => listPatterns(key.reveal()))
    this.filter = new KeyFilter(this.#patterns)
    this.#escapes = new EscapeCheck(this.#patterns)
    this.holdsSlash = this.#patterns.some(({ text, from, to }) => text.slice(from, to).includes('/'))
    this.longest = Math.max(...this.#patterns.map(({ text }) => text.length))
  }

  /** Whether `find` is worth its while. Cheap; never wrong when it says no. */
  mayHold (text: string): boolean {
    return this.filter.mayHold(text) || this.mayHoldEscaped(text)
  }

  /** The same of keys with at least one escape in them. Only characters that no encoder has to escape make it look closer. */
  mayHoldEscaped (text: string): boolean {
    return this.#escapes.isSuspect(text) && this.filter.mayHold(decodeEscapes(text).text)
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

  /** Where, at the end of `text`, a key begins that may go on after it; `text.length` if none does. */
  findTail (text: string): number {
    const decoded = decodeEscapes(dropOpenEscape(text))
    const tail = this.#findPlainTail(decoded.text)
    return Math.min(tail === decoded.text.length ? text.length : decoded.starts[tail] as number, this.#findPlainTail(text))
  }

  #findPlainTail (text: string): number {
    const folded = { case: folds.case(text), base64: folds.base64(text) }
    return text.length - Math.max(0, ...this.#patterns.map(pattern => measureTail(pattern, folded[pattern.fold])))
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
  const wanted = text.slice(-leastTail)
  if (wanted.length < leastTail) return 0
  let longest = 0
  for (let at = pattern.indexOf(wanted); at !== -1; at = pattern.indexOf(wanted, at + 1)) {
    const isWhole = at + leastTail === pattern.length // nothing is left to come
    if (!isWhole) longest = Math.max(longest, leastTail + countBefore(pattern, at, text, text.length - leastTail))
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
