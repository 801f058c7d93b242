import type { BodyStream } from './body-stream.ts'
import { decodeEscapes, dropOpenEscape } from './escapes.ts'
import { KeyMatcher, type Range } from './key-matcher.ts'
import { keyMarker } from './redact.ts'
import type { Secret } from './secret.ts'

const matchers = new WeakMap<readonly Secret[], KeyMatcher>()

/** Tables are made once per set of keys; the rotation gives the same array for as long as nothing changes. */
function matcherOf (keys: readonly Secret[]): KeyMatcher {
  let matcher = matchers.get(keys)
  if (matcher === undefined) matchers.set(keys, matcher = new KeyMatcher(keys))
  return matcher
}

/** `undefined` when there is no key that could be in an answer. */
export function createScrubber (keys: readonly Secret[]): Scrubber | undefined {
  return keys.length === 0 ? undefined : new Scrubber(matcherOf(keys))
}

/** A header's value without our keys. */
export function scrubHeaderValue (value: string, keys: readonly Secret[]): string {
  if (value.length < shortestSecret || keys.length === 0) return value
  const matcher = matcherOf(keys)
  if (!matcher.mayHold(value)) return value
  let result = ''
  let end = 0
  for (const [from, to] of matcher.find(value)) {
    result += value.slice(end, from) + keyMarker
    end = to
  }
  return result + value.slice(end)
}

/** Eight characters of a short key's secret part; nothing shorter is looked for. */
const shortestSecret = 8
const nothing = Buffer.alloc(0)
const jsonEscape = Buffer.from('\\u00')
const jsonSlash = Buffer.from('\\/')
const percent = 0x25
const backslash = 0x5c
/** The longest an escape gets: `\\u0061`, with the backslash escaped by JSON around JSON. */
const escapeLength = 7
/** Bytes already passed on that are remembered: seven characters, all escaped, and an escape that was cut off. */
const historyLength = 64

/**
 * Takes our own keys out of an answer's body while it streams through: raw, percent-encoded, escaped by JSON, in hex, in
 * base64 of either alphabet, with `pelion_` before them, whole or 16 characters or more of their secret part.
 *
 * What is taken out becomes `[access key removed]`, filled up with `*` to the same number of bytes (if there are fewer
 * bytes than that: all `*`). So the message's length, and with it its framing, stays what the headers said.
 *
 * Without a key in it a body passes untouched and uncopied, chunk by chunk. Bytes are held back only when a chunk ends
 * in eight characters or more that could be the beginning of a key, and then just these. (Fewer may pass before the
 * rest is seen; they count when the rest is judged.)
 */
export class Scrubber implements BodyStream {
  readonly changesLength = false
  /** How often a key was taken out. */
  removed = 0
  readonly #matcher: KeyMatcher
  #held: Buffer = nothing
  #history: Buffer = nothing

  constructor (matcher: KeyMatcher) {
    this.#matcher = matcher
  }

  push (chunk: Buffer): Buffer {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    const tail = this.#findTail(bytes)
    if (this.#mayHold(bytes) || this.#mayHoldAcross(bytes)) return this.#scrub(bytes, tail)
    return tail === bytes.length ? this.#pass(bytes, nothing) : this.#pass(bytes.subarray(0, tail), bytes.subarray(tail))
  }

  end (): Buffer {
    if (this.#held.length === 0) return nothing
    return this.#scrub(this.#held, this.#held.length)
  }

  #pass (bytes: Buffer, held: Buffer): Buffer {
    this.#remember(bytes)
    this.#held = held
    return bytes
  }

  /** `tail` is where a key may begin that goes on after `bytes`. */
  #scrub (bytes: Buffer, tail: number): Buffer {
    const before = this.#history.length
    const found = this.#matcher.find(toText(this.#history) + toText(bytes)).map(([from, to]): Range => [Math.max(from - before, 0), to - before])
    // A key that is there whole is replaced; the end of it may look like the beginning of another.
    const whole = found.find(([from, to]) => from < tail && to > tail)
    const end = whole === undefined ? tail : whole[1]
    const clean = this.#replace(bytes.subarray(0, end), found.filter(([from, to]) => from < end && to > 0))
    this.#remember(bytes.subarray(0, end))
    this.#held = bytes.subarray(end)
    return clean
  }

  #replace (bytes: Buffer, ranges: Range[]): Buffer {
    if (ranges.length === 0) return bytes
    const copy = Buffer.from(bytes)
    for (const [from, to] of ranges) copy.write(fill(to - from), from, 'latin1')
    this.removed += ranges.length
    return copy
  }

  #mayHold (bytes: Buffer): boolean {
    const { filter, holdsSlash } = this.#matcher
    if (filter.mayHoldBytes(bytes)) return true
    const hasEscapes = bytes.indexOf(percent) !== -1 || (bytes.indexOf(backslash) !== -1 && (bytes.indexOf(jsonEscape) !== -1 || (holdsSlash && bytes.indexOf(jsonSlash) !== -1)))
    return hasEscapes && this.#matcher.mayHoldEscaped(toText(bytes))
  }

  /** The seam between what has been passed on and what comes now. */
  #mayHoldAcross (bytes: Buffer): boolean {
    if (!endsInKeyByte(this.#history)) return false
    return this.#matcher.mayHold(toText(this.#history) + bytes.toString('latin1', 0, 2 * historyLength))
  }

  /** Where a key begins that may go on after `bytes`; their length if none does. */
  #findTail (bytes: Buffer): number {
    if (!endsInKeyByte(bytes)) return bytes.length
    // The first characters of the key may have been passed on before.
    const joined = bytes.length < historyLength ? Buffer.concat([this.#history, bytes]) : bytes
    if (!this.#mayEndInside(joined)) return bytes.length
    const from = Math.max(0, joined.length - this.#matcher.longest * escapeLength)
    const tail = from + this.#matcher.findTail(toText(joined.subarray(from)))
    return Math.max(0, tail - (joined.length - bytes.length))
  }

  #mayEndInside (bytes: Buffer): boolean {
    const { filter } = this.#matcher
    if (filter.mayBytesEndInside(bytes)) return true
    if (!endsNearEscape(bytes)) return false
    return filter.mayEndInside(decodeEscapes(dropOpenEscape(toText(bytes.subarray(-2 * historyLength)))).text)
  }

  #remember (bytes: Buffer): void {
    this.#history = bytes.length >= historyLength ? bytes.subarray(-historyLength) : Buffer.concat([this.#history, bytes]).subarray(-historyLength)
  }
}

/** Characters of keys and of escapes. Most chunks of an event stream end in something else. */
const keyBytes = new Uint8Array(256)
for (const byte of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=%\\')) keyBytes[byte] = 1

function endsInKeyByte (bytes: Buffer): boolean {
  return bytes.length > 0 && keyBytes[bytes[bytes.length - 1] as number] === 1
}

/** `\n` and `\"` are not meant: no key has them. */
function endsNearEscape (bytes: Buffer): boolean {
  for (let at = Math.max(0, bytes.length - escapeLength); at < bytes.length; at++) {
    if (bytes[at] === percent || (bytes[at] === backslash && mayFollowBackslash(bytes[at + 1]))) return true
  }
  return false
}

function mayFollowBackslash (byte: number | undefined): boolean {
  return byte === undefined || byte === 0x75 || byte === 0x2f || byte === backslash
}

function fill (length: number): string {
  return length < keyMarker.length ? '*'.repeat(length) : keyMarker.padEnd(length, '*')
}

/** One character per byte. */
function toText (bytes: Buffer): string { return bytes.toString('latin1') }
