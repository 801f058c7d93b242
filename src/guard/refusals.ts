import type { ErrorType } from '../errors.ts'

/**
 * Why the guard says no: a code for the trail's `notes`, the error it becomes, and the sentence the client reads.
 * The sentences are constants; none repeats what was sent.
 */
export const refusals = {
  host_missing: ['header_invalid', 'The Host header is missing. HTTP/1.1 needs exactly one.'],
  host_not_allowed: ['host_not_allowed', undefined],
  header_repeated: ['header_invalid', 'A header that may occur only once is repeated. Send one Host, one Authorization, one Content-Type, one Content-Length, one Origin.'],
  transfer_encoding: ['header_invalid', 'Transfer-Encoding may only be chunked, and only in HTTP/1.1.'],
  http_version: ['http_version_not_supported', undefined],
  method_not_allowed: ['method_not_allowed', undefined],

  target_form: ['request_target_invalid', 'The request target must be a path that starts with one slash: no absolute form, no authority, no asterisk.'],
  target_host: ['request_target_invalid', 'The request target starts with two slashes and what looks like a host name. Start it with one slash.'],
  target_characters: ['request_target_invalid', 'The request target holds a space, a control character or a character beyond ASCII. Percent-encode it.'],
  target_fragment: ['request_target_invalid', 'The request target holds a #. A fragment is never sent; percent-encode the # if it belongs to a value.'],
  target_backslash: ['request_target_invalid', 'The path holds a backslash, which some servers read as a slash.'],
  target_encoded_slash: ['request_target_invalid', 'The path holds a percent-encoded slash or backslash, which could be read in two ways.'],
  target_escape: ['request_target_invalid', 'The path holds a percent escape that is malformed or not UTF-8.'],
  target_nul: ['request_target_invalid', 'The path holds a percent-encoded NUL, at which some servers cut it off.'],
  target_double_encoding: ['request_target_invalid', 'The path is percent-encoded twice, which could be read in two ways.'],
  target_dot_segment: ['request_target_invalid', 'The path holds a . or .. segment, plain or percent-encoded. Resolve it before sending.'],
  target_trimmed: ['request_target_invalid', 'A segment of the path ends in a dot, or begins or ends with white space, which some servers cut off.'],
  target_path_parameter: ['request_target_invalid', 'The path holds a semicolon, which some servers cut off together with what follows it.'],
  target_own_path: ['request_target_invalid', 'The proxy\'s own paths must be written plainly: /_proxy/…'],

  key_in_path: ['access_key_in_url', undefined],
  token_in_url: ['access_key_in_url', 'The URL holds a member token. Treat that token as published, have it revoked, and send it in the Authorization header.'],

  origin_not_allowed: ['origin_not_allowed', undefined],
  cross_site: ['origin_not_allowed', 'This request comes from a page of another site. Only listed origins and the proxy\'s own pages may use the proxy.']
} as const satisfies Record<string, readonly [ErrorType, string | undefined]>

export type Refusal = keyof typeof refusals
