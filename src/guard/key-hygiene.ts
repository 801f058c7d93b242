/**
 * Keys and member tokens in places where they end up in histories, logs and Referer headers.
 * Key layouts: `ak_` + digit + 43 base64 + 32 hex (together the public part, 79 characters) + 32 secret; older ones
 * `ak_` + 32 hex; reference tokens `rt_…`; JWT. Member tokens: `izp_…`. A prefix `pelion_` may stand before any.
 */

// Short and loose forms count only where no word ends in them (`weak_1…`, `start_…`); the exact ones stand for themselves.
const keys = new RegExp([
  'ak_[0-9][A-Za-z0-9+/]{43}[0-9a-f]{32}[A-Za-z0-9+/=_-]*',
  '(?<![A-Za-z0-9])ak_[0-9][A-Za-z0-9+/=_-]{19,}',
  '(?<![A-Za-z0-9])ak_[0-9a-fA-F]{32,}',
  '(?<![A-Za-z0-9])rt_[A-Za-z0-9+/=_-]{20,}',
  '(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}\\.eyJ[A-Za-z0-9_-]{8,}\\.[A-Za-z0-9_-]{16,}'
].join('|'), 'g')
const tokens = /izp_[A-Za-z0-9_-]{20,}/g
const publicPart = /^ak_[0-9][A-Za-z0-9+/]{43}[0-9a-f]{32}$/

// The escapes of letters, digits, `_` and `%`, behind which a credential could be hidden; those of `=`, `:` or `,` hide nothing.
const hiding = /%(?:25|3[0-9]|[4-7])/

const keyNames = new Set([
  'accesskey', 'apikey', 'authorization', 'accesstoken', 'apitoken', 'authtoken', 'bearertoken', 'bearer',
  'cloudkey', 'pelionkey', 'izumakey', 'xapikey', 'xaccesskey', 'secretkey'
])

export const keyRemoved = '[access key removed]'
export const tokenRemoved = '[member token removed]'

/**
 * A quick no for the ordinary text: without a hit there is no key and no token in it, encoded or not. Plain substring
 * searches, since they run over every header of every request and cost a tenth of a regular expression.
 */
export function mayHoldCredential (text: string): boolean {
  return text.includes('izp_') || mayHoldKey(text)
}

export function mayHoldKey (text: string): boolean {
  return text.includes('ak_') || text.includes('eyJ') || text.includes('rt_') || (text.includes('%') && hiding.test(text))
}

/** A quick no for the ordinary query: no parameter in it is named like a key. */
export function mayNameKey (query: string): boolean {
  return query.includes('ey') || query.includes('EY') || query.includes('uth') || query.includes('UTH') ||
    query.includes('oken') || query.includes('OKEN') || query.includes('earer') || query.includes('EARER')
}

/** A key with its secret, also percent-encoded up to three times. The public part alone is not a secret. */
export function holdsKey (text: string): boolean {
  return holds(text, plain => {
    for (const [match] of plain.matchAll(keys)) if (!publicPart.test(match)) return true
    return false
  })
}

export function holdsToken (text: string): boolean {
  return holds(text, plain => plain.search(tokens) >= 0)
}

function holds (text: string, test: (plain: string) => boolean): boolean {
  let plain = text
  if (!mayHoldCredential(text)) return false
  for (let depth = 0; depth < 4; depth++) {
    if (test(plain)) return true
    const decoded = decodeAscii(plain)
    if (decoded === plain) return false
    plain = decoded
  }
  return false
}

// Keys are ASCII, and a malformed escape elsewhere in the text must not hide one: decodeURIComponent would throw.
function decodeAscii (text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%([2-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/**
 * Removes from a query the parameters that are, hold or are named like a key; all others keep their bytes and order.
 * `key__eq=` with the public part of a key is a documented search and stays.
 */
export function removeKeys (query: string): string {
  const parameters = query.split('&')
  const kept = parameters.filter(parameter => !isKeyParameter(parameter))
  return kept.length === parameters.length ? query : kept.join('&')
}

function isKeyParameter (parameter: string): boolean {
  const equals = parameter.indexOf('=')
  if (equals > 0 && equals < parameter.length - 1) {
    const name = decodeAscii(parameter.slice(0, equals)).toLowerCase().replace(/[-_.]/g, '')
    if (keyNames.has(name)) return true
  }
  return holdsKey(parameter)
}

/** For text that is shown or recorded, a URL or a header's value: no key or token survives, encoded or not. */
export function redactCredentials (text: string): string {
  if (!mayHoldCredential(text)) return text
  const redacted = text
    .replace(keys, match => publicPart.test(match) ? match : keyRemoved)
    .replace(tokens, tokenRemoved)
  if (!holdsKey(redacted) && !holdsToken(redacted)) return redacted
  return redacted.split(/([/?&;, ])/).map(redactEncoded).join('')
}

// What is left is percent-encoded: the piece it stands in goes.
function redactEncoded (piece: string): string {
  if (holdsKey(piece)) return keyRemoved
  return holdsToken(piece) ? tokenRemoved : piece
}
