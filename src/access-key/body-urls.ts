import type { BodyStream } from './body-stream.ts'

const quote = 0x22
const backslash = 0x5c
const slash = 0x2f
const nothing = Buffer.alloc(0)
/** What may come right behind the origin: path, query, fragment, or the end of the string. Not a port, a longer name, an `@`. */
const boundaries = new Set(Buffer.from('/?#"'))

/**
 * Rewrites the API's own URLs in a JSON body to the proxy's, while it streams: `"https://api.example/v3/x"` becomes
 * `"http://localhost:8080/v3/x"`, with slashes escaped if they were (`https:\/\/…`). Only strings that begin with
 * exactly that origin: a URL inside another URL may be signed, and JSON inside JSON is somebody's text.
 *
 * `apiOrigin` and `proxyOrigin`: `scheme://host[:port]`.
 */
export function createUrlRewriter (apiOrigin: string, proxyOrigin: string): BodyStream {
  const name = `${apiOrigin} ${proxyOrigin}`
  let terms = known.get(name)
  if (terms === undefined) {
    if (known.size === maxKnown) known.clear()
    known.set(name, terms = createTerms(apiOrigin, proxyOrigin))
  }
  return new UrlRewriter(terms)
}

/** What is looked for, by origins. The proxy's own is what the client calls it by, so there may be many. */
const known = new Map<string, Terms>()
const maxKnown = 32

interface Terms {
  /** `/host`: the same in both forms, and a slash is rare enough in JSON to make the search for it fast. */
  anchor: Buffer
  forms: Form[]
}

/** One of the two ways in which JSON writes the origin. */
interface Form {
  /** `"https://host` */
  whole: Buffer
  /** Its beginning, less the host and the slash before it. */
  scheme: Buffer
  replacement: Buffer
}

class UrlRewriter implements BodyStream {
  readonly changesLength = true
  readonly #anchor: Buffer
  readonly #forms: Form[]
  #held: Buffer = nothing
  #last = 0

  constructor ({ anchor, forms }: Terms) {
    this.#anchor = anchor
    this.#forms = forms
  }

  push (chunk: Buffer): Buffer {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    const pieces: Buffer[] = []
    let from = 0
    let hold = this.#findOpenEnd(bytes)
    for (let at = bytes.indexOf(this.#anchor); at !== -1; at = bytes.indexOf(this.#anchor, at + 1)) {
      const form = this.#formAt(bytes, at)
      if (form === undefined) continue
      const start = at - form.scheme.length
      const end = at + this.#anchor.length
      const isOrigin = endsOrigin(bytes, end)
      if (isOrigin === undefined) hold = start
      if (isOrigin !== true) continue
      pieces.push(bytes.subarray(from, start), form.replacement)
      from = end
    }
    return this.#pass(bytes, pieces, from, Math.max(hold, from))
  }

  end (): Buffer {
    const rest = this.#held
    this.#held = nothing
    return rest
  }

  #pass (bytes: Buffer, pieces: Buffer[], from: number, hold: number): Buffer {
    this.#held = bytes.subarray(hold)
    if (hold > 0) this.#last = bytes[hold - 1] as number
    if (pieces.length === 0) return hold === bytes.length ? bytes : bytes.subarray(0, hold)
    pieces.push(bytes.subarray(from, hold))
    return Buffer.concat(pieces)
  }

  /** The form whose beginning stands right before the anchor, at the beginning of a string. */
  #formAt (bytes: Buffer, at: number): Form | undefined {
    return this.#forms.find(({ scheme }) => {
      const start = at - scheme.length
      return start >= 0 && bytes.compare(scheme, 0, scheme.length, start, at) === 0 && !this.#isEscaped(bytes, start)
    })
  }

  /** An escaped quote begins no string; a quote that begins one never stands behind a backslash. */
  #isEscaped (bytes: Buffer, at: number): boolean {
    return (at === 0 ? this.#last : bytes[at - 1]) === backslash
  }

  /** Where, at the end, the beginning of an origin stands that may go on in the next chunk; the length if nowhere. */
  #findOpenEnd (bytes: Buffer): number {
    const start = bytes.lastIndexOf(quote)
    if (start === -1) return bytes.length
    const length = bytes.length - start
    const isOpen = this.#forms.some(({ whole }) => length <= whole.length && bytes.compare(whole, 0, length, start) === 0)
    return isOpen && !this.#isEscaped(bytes, start) ? start : bytes.length
  }
}

function createTerms (apiOrigin: string, proxyOrigin: string): Terms {
  const host = apiOrigin.slice(apiOrigin.indexOf('//') + 1)
  const escapeSlashes = (text: string) => text.replaceAll('/', '\\/')
  const quoted = JSON.stringify(proxyOrigin).slice(0, -1)
  const forms = [createForm(`"${apiOrigin}`, host, quoted), createForm(escapeSlashes(`"${apiOrigin}`), host, escapeSlashes(quoted))]
  return { anchor: Buffer.from(host), forms }
}

function createForm (whole: string, host: string, replacement: string): Form {
  return { whole: Buffer.from(whole), scheme: Buffer.from(whole.slice(0, -host.length)), replacement: Buffer.from(replacement) }
}

/** `undefined`: only the next chunk will tell. */
function endsOrigin (bytes: Buffer, at: number): boolean | undefined {
  if (at === bytes.length) return undefined
  if (bytes[at] !== backslash) return boundaries.has(bytes[at] as number)
  return at + 1 === bytes.length ? undefined : bytes[at + 1] === slash
}
