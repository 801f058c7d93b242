import { createHeaderRules } from './header-rules.ts'
import { holdsKey, holdsToken, mayHoldCredential, mayHoldKey } from './key-hygiene.ts'
import type { Refusal } from './refusals.ts'

// Headers that may occur once: two of them are two readings of one request, one for us and one for whoever reads next.
const host = 1
const transferEncoding = 2
const authorization = 4
const contentLength = 8
const subprotocol = 16
const once = 32

/** Nothing shorter is a key or a token. */
const shortest = 20

const rules = createHeaderRules([
  [host, ['host']],
  [transferEncoding, ['transfer-encoding']],
  [authorization, ['authorization']],
  [contentLength, ['content-length']],
  [subprotocol, ['sec-websocket-protocol']],
  [once, ['content-type']],
  [once << 1, ['origin']],
  [once << 2, ['sec-fetch-site']],
  [once << 3, ['sec-websocket-key']],
  [once << 4, ['sec-websocket-version']]
], () => 0)

/** What one pass over the raw headers finds out. */
export interface HeaderFacts {
  host: string
  /** There is a body to come, by Content-Length or Transfer-Encoding. */
  hasBody: boolean
  /** A key of the API stands where the member token belongs: in Authorization, or in a WebSocket's subprotocols. */
  keyAsToken: boolean
  /** A key or a token stands in a header where neither belongs. It doesn't go on. */
  keyElsewhere: boolean
}

/**
 * Judges headers as received, flat. Characters in names and values, obs-fold, Content-Length beside Transfer-Encoding
 * and the form of Content-Length are Node's parser's to refuse (`insecureHTTPParser` is off); this adds what it lets pass.
 */
export function judgeHeaders (raw: readonly string[], httpVersion: string): HeaderFacts | Refusal {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return 'http_version'
  const facts: HeaderFacts = { host: '', hasBody: false, keyAsToken: false, keyElsewhere: false }
  let seen = 0
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const rule = rules.of(raw[i] as string)
    if (rule === 0) {
      facts.keyElsewhere ||= holdsCredential(raw[i + 1] as string)
      continue
    }
    if ((seen & rule) !== 0) return 'header_repeated'
    seen |= rule
    if (!learn(facts, rule, raw[i + 1] as string, httpVersion)) return 'transfer_encoding'
  }
  return (seen & host) === 0 ? 'host_missing' : facts
}

function holdsCredential (value: string): boolean {
  return value.length >= shortest && mayHoldCredential(value) && (holdsKey(value) || holdsToken(value))
}

function learn (facts: HeaderFacts, rule: number, value: string, httpVersion: string): boolean {
  if (rule === host) facts.host = value
  else if (rule === contentLength) facts.hasBody = value !== '0'
  else if (rule === authorization || rule === subprotocol) facts.keyAsToken ||= value.length >= shortest && mayHoldKey(value) && holdsKey(value)
  else if (rule === transferEncoding) {
    facts.hasBody = true
    // RFC 9112 §6.1: chunked unknown to HTTP/1.0 is faulty framing; any other coding could only be passed on re-framed.
    return httpVersion === '1.1' && value.toLowerCase() === 'chunked'
  }
  return true
}
