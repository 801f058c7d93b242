/**
 * Where the parts of a JSON text lie. Messages of the API are cut and joined by these positions instead of being parsed and
 * written anew, so that every part that is passed on keeps its bytes: number formats, key order, escapes.
 * The text must be valid JSON (the caller has parsed it once); on anything else the result is undefined.
 */
export interface Slice { start: number, end: number }

/** A member of an object: `start` and `end` enclose the value, `keyStart` is the key's opening quote. */
export interface MemberSlice extends Slice { key: string, keyStart: number }

const quote = 0x22
const comma = 0x2c
const openBracket = 0x5b
const backslash = 0x5c
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/** The members of the object that begins at `from` (its brace, or white space before it). */
export function sliceObject (text: string, from = 0): MemberSlice[] {
  const members: MemberSlice[] = []
  let at = skipSpace(text, skipSpace(text, from) + 1)
  while (text.charCodeAt(at) !== closeBrace) {
    const keyStart = at
    const keyEnd = skipString(text, keyStart)
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1)
    const end = skipValue(text, start)
    members.push({ key: JSON.parse(text.slice(keyStart, keyEnd)) as string, keyStart, start, end })
    at = nextItem(text, end)
  }
  return members
}

/** The items of the array that begins at `from`. */
export function sliceArray (text: string, from: number): Slice[] {
  const items: Slice[] = []
  let at = skipSpace(text, skipSpace(text, from) + 1)
  while (text.charCodeAt(at) !== closeBracket) {
    const end = skipValue(text, at)
    items.push({ start: at, end })
    at = nextItem(text, end)
  }
  return items
}

export function isArray (text: string, { start }: Slice): boolean { return text.charCodeAt(start) === openBracket }

export function isObject (text: string, { start }: Slice): boolean { return text.charCodeAt(start) === openBrace }

/** From the end of an item to the start of the next one, or to the closing bracket. */
function nextItem (text: string, end: number): number {
  const at = skipSpace(text, end)
  return text.charCodeAt(at) === comma ? skipSpace(text, at + 1) : at
}

function skipSpace (text: string, from: number): number {
  let at = from
  for (;;) {
    const code = text.charCodeAt(at)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at
    at++
  }
}

function skipString (text: string, from: number): number {
  let end = text.indexOf('"', from + 1)
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end + 1
}

function isEscaped (text: string, at: number): boolean {
  let backslashes = 0
  while (text.charCodeAt(at - 1 - backslashes) === backslash) backslashes++
  return backslashes % 2 === 1
}

function skipValue (text: string, from: number): number {
  const first = text.charCodeAt(from)
  if (first === quote) return skipString(text, from)
  return first === openBrace || first === openBracket ? skipNested(text, from) : skipLiteral(text, from)
}

function skipNested (text: string, from: number): number {
  let depth = 0
  let at = from
  do {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = skipString(text, at)
      continue
    }
    if (code === openBrace || code === openBracket) depth++
    else if (code === closeBrace || code === closeBracket) depth--
    at++
  } while (depth > 0)
  return at
}

function skipLiteral (text: string, from: number): number {
  let at = from
  while (at < text.length && !',]} \n\r\t'.includes(text.charAt(at))) at++
  return at
}
