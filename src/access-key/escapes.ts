/**
 * Percent-encoding, encoded any number of times (`%61`, `%2561`), and the two escapes of JSON strings that can stand
 * for a key's characters (`\u0061`, `\/`), also of JSON inside JSON: the whole run of backslashes belongs to the escape.
 */
const escape = /%(?:25)*([0-9A-Fa-f]{2})|\\+u00([0-9A-Fa-f]{2})|\\+\//g

/** A text with its escapes undone, and where each of its characters stood. */
export interface Decoded {
  text: string
  /** `starts[i]` is where character `i` of `text` begins in the original; `starts[text.length]` is the original's length. */
  starts: Uint32Array
}

/** Escapes within escapes of the other kind (a percent sign that JSON escaped) are undone this many levels deep. */
const maxLevels = 4

export function decodeEscapes (original: string): Decoded {
  let decoded = decodeLevel(original)
  for (let level = 1; level < maxLevels && mayHoldEscapes(decoded.text); level++) {
    const inner = decodeLevel(decoded.text)
    const outer = decoded.starts
    decoded = { text: inner.text, starts: inner.starts.map(start => outer[start] as number) }
  }
  return decoded
}

function decodeLevel (original: string): Decoded {
  const starts = new Uint32Array(original.length + 1)
  let text = ''
  let end = 0
  const copyUntil = (index: number) => {
    for (let at = end; at < index; at++) starts[text.length + at - end] = at
    text += original.slice(end, index)
  }
  for (const match of original.matchAll(escape)) {
    copyUntil(match.index)
    starts[text.length] = match.index
    text += decodeOne(match)
    end = match.index + match[0].length
  }
  copyUntil(original.length)
  starts[text.length] = original.length
  return { text, starts: starts.subarray(0, text.length + 1) }
}

function decodeOne (match: RegExpExecArray): string {
  const hex = match[1] ?? match[2]
  return hex === undefined ? '/' : String.fromCharCode(Number.parseInt(hex, 16))
}

/** Whether decoding could change anything. Cheap. */
export function mayHoldEscapes (text: string): boolean {
  return text.includes('%') || text.includes('\\u00') || text.includes('\\/')
}

/** An escape that the end of the text cut off, or one that further characters would make another. */
const openEscape = /(?:%(?:25)*[0-9A-Fa-f]?|\\+(?:u(?:0(?:0[0-9A-Fa-f]?)?)?)?)$/

export function dropOpenEscape (text: string): string {
  const last = text.slice(-32)
  return last.includes('%') || last.includes('\\') ? text.replace(openEscape, '') : text
}
