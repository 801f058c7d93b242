import type { KeyPattern } from './key-patterns.ts'

const notHex = 255
const hexDigits = new Uint8Array(256).fill(notHex)
for (let digit = 0; digit < 16; digit++) {
  hexDigits[digit.toString(16).charCodeAt(0)] = digit
  hexDigits[digit.toString(16).toUpperCase().charCodeAt(0)] = digit
}

/** Going from one percent sign to the next is the fastest way unless there are more of them than one in so many characters. */
const sparse = 48

/**
 * Whether escapes in a text could hide a key: those of letters and digits, which no encoder has to escape and hardly one
 * does, and of what else these keys' secret parts hold. Ordinary percent-encoding (`%2F`, `%3D`, `%20`) is no cause to look.
 */
export class EscapeCheck {
  readonly #suspect = new Uint8Array(256)
  readonly #percent: RegExp
  readonly #json: RegExp
  readonly #holdsSlash: boolean

  constructor (patterns: readonly KeyPattern[]) {
    const characters = new Set([...patterns.flatMap(({ text, from, to }) => [...text.slice(from, to)]), ...'abcdefghijklmnopqrstuvwxyz0123456789\\'])
    if (patterns.some(pattern => pattern.fold === 'base64' && /[+/]/.test(pattern.text))) for (const character of '-_') characters.add(character)
    const codes = [...characters].flatMap(character => [character, character.toUpperCase()]).map(character => character.charCodeAt(0))
    for (const code of codes) this.#suspect[code] = 1
    const hex = [...new Set(codes)].map(code => code.toString(16)).join('|')
    this.#percent = new RegExp(`%(?:25)*(?:${hex})`, 'i')
    // An escaped percent sign may begin an escape of the other kind.
    this.#json = new RegExp(`\\\\u00(?:25|${hex})`, 'i')
    this.#holdsSlash = characters.has('/')
  }

  isSuspect (text: string): boolean {
    return (text.includes('\\u00') && this.#json.test(text)) || (this.#holdsSlash && text.includes('\\/')) || this.#hasSuspectPercent(text)
  }

  #hasSuspectPercent (text: string): boolean {
    let hops = text.length / sparse
    for (let at = text.indexOf('%'); at !== -1; at = text.indexOf('%', at + 1)) {
      if (hops-- < 0) return this.#percent.test(text.slice(at))
      let digits = at + 1
      while (text.startsWith('25', digits)) digits += 2
      if (this.#isSuspectCode(text, digits)) return true
    }
    return false
  }

  #isSuspectCode (text: string, at: number): boolean {
    const high = hexDigits[text.charCodeAt(at)] ?? notHex
    const low = hexDigits[text.charCodeAt(at + 1)] ?? notHex
    return high !== notHex && low !== notHex && this.#suspect[high << 4 | low] === 1
  }
}
