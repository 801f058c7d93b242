import { KeyMatcher } from './key-matcher.ts'
import type { Secret } from './secret.ts'

export const keyMarker = '[access key removed]'
export const tokenMarker = '[token removed]'

/** A character of a key as it is, percent-encoded any number of times, or as JSON may escape it. */
const code = '(?:2[bdf]|3[0-9d]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9a])'
const unit = `(?:[a-z0-9+/=_-]|%(?:25)*${code}|\\\\+u00${code}|\\\\+/)`
const digit = '(?:[0-9]|(?:%(?:25)*|\\\\+u00)3[0-9])'

/** One given character, written in any of those ways. */
function spell (word: string): string {
  return [...word].map(character => {
    const hex = character.charCodeAt(0).toString(16)
    const other = character.toUpperCase().charCodeAt(0).toString(16)
    return `(?:${character.replace('.', '\\.')}|(?:%(?:25)*|\\\\+u00)(?:${hex}|${other}))`
  }).join('')
}

/** Not in the middle of a word (`peak_…`, `report_…`); behind an escape a word begins. */
const atStart = '(?:(?<![a-z0-9])|(?<=%[0-9a-f]{2})|(?<=u00[0-9a-f]{2}))'
const pelion = `(?:${spell('pelion')}${spell('_')})?`
const holdsDigit = `(?=${unit}{0,39}?${digit})`

/**
 * `ak_` and 20 characters or more, of which one is a digit (the version stands right behind the prefix) or which begin
 * a word; or the base64 of such a text.
 */
const keys = new RegExp([
  `${pelion}${spell('ak_')}${holdsDigit}${unit}{20,}`,
  `${atStart}${pelion}${spell('ak_')}${unit}{20,}`,
  '(?:cGVsaW9uX2Fr|YWtf)[a-z0-9+/_-]{24,}={0,2}'
].join('|'), 'gi')

/** Reference tokens, member tokens, JWT, and whatever stands behind the name of an authentication scheme. */
const tokens = new RegExp([
  `${atStart}${pelion}${spell('rt_')}${holdsDigit}${unit}{20,}`,
  `${pelion}${spell('izp_')}${unit}{16,}`,
  `${spell('eyJ'.toLowerCase())}${unit}{8,}${spell('.')}${unit}{8,}(?:${spell('.')}${unit}*)+`,
  `(?<=(?:bearer|basic)(?: |\\+|%20){1,4})(?=${unit}{0,64}?${digit})(?:${unit}|[.~]){16,}`
].join('|'), 'gi')

/** The least that every secret above has in it. Ordered and cut so that the search stops at a letter that is rare in JSON. */
const traces = ['k_', 'K_', 'zp_', 'yJ', 'Wtf', 'X2Fr', 'Bearer', 'Basic', '\\u00', 'rt_']
/** Letters and the underscore, percent-encoded though no encoder has to. */
const encodedLetter = /%(?:25|[4-7])/

function isSuspect (text: string): boolean {
  for (const trace of traces) if (text.includes(trace)) return true
  return text.includes('%') && encodedLetter.test(text)
}

/**
 * Removes access keys, reference and member tokens and JWTs from a text, by their looks: for text that may hold the
 * secret of anybody. JSON stays valid JSON. Cheap when there is nothing to remove.
 */
export function redact (text: string): string {
  if (!isSuspect(text)) return text
  return text.replace(keys, keyMarker).replace(tokens, tokenMarker)
}

/** How many keys are remembered: those of a command that prints a new one each time must not pile up. */
const maxKeys = 16

/** Removes what `redact` removes, and the keys it has been told of, in any writing: no 16 characters in a row of their secret part survive. */
export class Redactor {
  #keys: Secret[] = []
  #matcher: KeyMatcher | undefined

  add (key: Secret): void {
    if (this.#keys.some(known => known.equals(key))) return
    this.#keys = [...this.#keys, key].slice(-maxKeys)
    this.#matcher = new KeyMatcher(this.#keys)
  }

  /** Bound, to be handed around as a function. */
  readonly redact = (text: string): string => {
    const clean = redact(text)
    return this.#matcher?.mayHold(clean) === true ? replaceRanges(clean, this.#matcher) : clean
  }
}

function replaceRanges (text: string, matcher: KeyMatcher): string {
  let result = ''
  let end = 0
  for (const [from, to] of matcher.find(text)) {
    result += text.slice(end, from) + keyMarker
    end = to
  }
  return result + text.slice(end)
}
