import type { RequestTarget } from '../decorations.ts'
import { holdsKey, holdsToken, mayHoldCredential, mayNameKey, redactCredentials, removeKeys } from './key-hygiene.ts'
import type { Refusal } from './refusals.ts'

// The ordinary target: plain segments, none of which begins or ends with a dot, and any query of printable ASCII without #.
// Nothing in it can be read in two ways, so raw and canonical path are the same.
const segment = "[\\w~!$'()*+,=:@-]+(?:\\.+[\\w~!$'()*+,=:@-]+)*"
const ordinary = new RegExp(`^/(?:${segment}(?:/${segment})*/?)?(?:\\?[!"$-~]*)?$`)

const ownPath = /^\/_proxy(?:\/|$)/

/**
 * Judges a request target as it stood in the request line (RFC 9112 §3.2). The path must have one reading only,
 * because policy judges a decoded copy while the API gets the raw bytes.
 */
export function judgeTarget (raw: string): RequestTarget | Refusal {
  if (!ordinary.test(raw)) return judgeUnusual(raw)
  if (mayHoldCredential(raw) || mayNameKey(raw)) return judgeCredentials(raw, undefined)
  const mark = raw.indexOf('?')
  const path = mark < 0 ? raw : raw.slice(0, mark)
  return { forward: raw, path, query: mark < 0 ? '' : raw.slice(mark + 1), canonicalPath: path, notes: [] }
}

function judgeUnusual (raw: string): RequestTarget | Refusal {
  const leading = judgeLeadingSlashes(raw)
  if (leading !== undefined) return leading
  const target = raw.startsWith('//') ? raw.slice(1) : raw
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const refusal = judgeCharacters(target, path) ?? judgeEscapes(path)
  if (refusal !== undefined) return refusal
  const decoded = decode(path)
  if (decoded === undefined) return 'target_escape'
  return judgeReadings(decoded) ?? judgeOwnPath(raw, decoded) ?? judgeCredentials(target, canonicalize(decoded))
}

/**
 * `//name/…` is how the API documents `//ace-auth/token`; it goes on with one slash, since a URL resolver would take
 * the name for a host. Anything after `//` that could be a host, a port or a user is refused for the same reason.
 */
function judgeLeadingSlashes (raw: string): Refusal | undefined {
  if (!raw.startsWith('/')) return 'target_form'
  if (raw.startsWith('//') && !/^\/\/[\w~-]+(?:\/|\?|$)/.test(raw)) return 'target_host'
  return undefined
}

function judgeCharacters (target: string, path: string): Refusal | undefined {
  if (/[^!-~]/.test(target)) return 'target_characters'
  if (target.includes('#')) return 'target_fragment'
  return path.includes('\\') ? 'target_backslash' : undefined
}

function judgeEscapes (path: string): Refusal | undefined {
  if (!path.includes('%')) return undefined
  if (/%(?![0-9a-f]{2})/i.test(path)) return 'target_escape'
  if (/%(?:2f|5c)/i.test(path)) return 'target_encoded_slash'
  if (path.includes('%00')) return 'target_nul'
  return undefined
}

/** Decoded once, runs of slashes collapsed; `undefined` if an escape isn't UTF-8 (an overlong dot or slash, say). */
function decode (path: string): string | undefined {
  const collapsed = path.replace(/\/{2,}/g, '/')
  if (!path.includes('%')) return collapsed
  try {
    return decodeURIComponent(collapsed)
  } catch {
    return undefined
  }
}

/**
 * `?` and `#` are encoded again, so that nobody can cut the canonical path where the path doesn't end; so are control
 * characters, since the `.` of a pattern doesn't match a line break.
 */
function canonicalize (decoded: string): string {
  // eslint-disable-next-line no-control-regex
  return decoded.replace(/[\x00-\x1f\x7f?#]/g, character => encodeURIComponent(character))
}

// Windows drops dots and spaces at the end of a name, others trim: `/v3/api-keys.` is then `/v3/api-keys`, which no rule was asked about.
// eslint-disable-next-line no-control-regex
const trimmed = /\/[\s\x00-\x1f\x7f]|[.\s\x00-\x1f\x7f](?:\/|$)/

function judgeReadings (decoded: string): Refusal | undefined {
  if (/%[0-9a-f]{2}/i.test(decoded)) return 'target_double_encoding'
  if (/\/\.{1,2}(?:[/;]|$)/.test(decoded)) return 'target_dot_segment'
  if (trimmed.test(decoded)) return 'target_trimmed'
  return decoded.includes(';') ? 'target_path_parameter' : undefined
}

// `/%5fproxy/…` or `//_proxy/…` would be forwarded by a router that takes it for a path of the API.
function judgeOwnPath (raw: string, decoded: string): Refusal | undefined {
  return ownPath.test(decoded) && !ownPath.test(raw) ? 'target_own_path' : undefined
}

function judgeCredentials (target: string, canonicalPath: string | undefined): RequestTarget | Refusal {
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  if (holdsToken(target)) return 'token_in_url'
  if (holdsKey(path)) return 'key_in_path'
  const received = mark < 0 ? '' : target.slice(mark + 1)
  const query = received === '' ? '' : removeKeys(received)
  const kept = { path, query, canonicalPath: canonicalPath ?? path }
  if (query === received) return { forward: target, ...kept, notes: [] }
  return { forward: query === '' ? path : `${path}?${query}`, ...kept, notes: ['key_removed_from_query'] }
}

/** Path and query of a target that was refused, as the trail may keep them. */
export function describeRefusedTarget (raw: string): { path: string, query: string } {
  const mark = raw.indexOf('?')
  if (mark < 0) return { path: redactCredentials(raw), query: '' }
  return { path: redactCredentials(raw.slice(0, mark)), query: redactCredentials(raw.slice(mark + 1)) }
}
