/** Ways to answer that are wrong or unusual, as the bytes that go out and how the connection ends. */

export type Ending =
  /** FIN after the last byte. */
  | 'end'
  /** RST. */
  | 'reset'
  /** The connection stays open and silent until the client gives up. */
  | 'hold'

export interface RawAnswer {
  /** Written in turn, each in a packet of its own. */
  parts: Array<string | Buffer>
  ending: Ending
}

const json = '{"object":"list","limit":50,"after":null,"order":"ASC","has_more":false,"data":[]}'
const half = json.slice(0, 40)
const type = 'Content-Type: application/json'
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`

function head (status: string, ...lines: string[]): string {
  return [`HTTP/1.1 ${status}`, ...lines, '', ''].join('\r\n')
}

function whole (...lines: string[]): string {
  return head('200 OK', type, ...lines, `Content-Length: ${json.length}`) + json
}

/** By name. `requestId` lines are left out on purpose: an answer that is broken has none either. */
export const rawFaults = {
  reset: { parts: [], ending: 'reset' },
  close: { parts: [], ending: 'end' },
  stall: { parts: [], ending: 'hold' },
  'stall-headers': { parts: ['HTTP/1.1 200 OK\r\nContent-Ty'], ending: 'hold' },
  'stall-body': { parts: [head('200 OK', type, `Content-Length: ${json.length}`), half], ending: 'hold' },
  truncate: { parts: [head('200 OK', type, `Content-Length: ${json.length}`), half], ending: 'end' },
  'reset-body': { parts: [head('200 OK', type, `Content-Length: ${json.length}`), half], ending: 'reset' },
  'truncate-chunked': { parts: [head('200 OK', type, 'Transfer-Encoding: chunked'), chunk(half)], ending: 'end' },
  'reset-chunked': { parts: [head('200 OK', type, 'Transfer-Encoding: chunked'), chunk(half)], ending: 'reset' },
  'until-close': { parts: [head('200 OK', type, 'Connection: close'), json], ending: 'end' },
  garbage: { parts: ['\x16\x03\x01 this is no HTTP at all\r\n\r\n'], ending: 'end' },
  'garbage-after': { parts: [whole(), 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'], ending: 'end' },
  'two-content-lengths': { parts: [whole('Content-Length: 3')], ending: 'end' },
  'content-length-list': { parts: [head('200 OK', type, `Content-Length: ${json.length}, 3`) + json], ending: 'end' },
  'content-length-negative': { parts: [head('200 OK', type, 'Content-Length: -1') + json], ending: 'end' },
  'content-length-and-chunked': { parts: [whole('Transfer-Encoding: chunked').replace(json, chunk(json) + '0\r\n\r\n')], ending: 'end' },
  'bad-chunk-size': { parts: [head('200 OK', type, 'Transfer-Encoding: chunked'), 'xyz\r\nabc\r\n0\r\n\r\n'], ending: 'end' },
  'big-header': { parts: [whole(`X-Big: ${'b'.repeat(20_480)}`)], ending: 'end' },
  'many-headers': { parts: [whole(...Array.from({ length: 2_500 }, (_, index) => `X-${index}: ${index}`))], ending: 'end' },
  'bad-status': { parts: [head('abc OK', type, 'Content-Length: 2') + '{}'], ending: 'end' },
  'status-zero': { parts: [head('000 None', type, 'Content-Length: 2') + '{}'], ending: 'end' },
  'status-1000': { parts: [head('1000 Many', type, 'Content-Length: 2') + '{}'], ending: 'end' },
  'bad-version': { parts: ['HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}'], ending: 'end' },
  'http-1.0': { parts: [`HTTP/1.0 200 OK\r\n${type}\r\n\r\n${json}`], ending: 'end' },
  'unsolicited-101': { parts: [head('101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket')], ending: 'hold' },
  'trailer-and-content-length': { parts: [head('200 OK', type, 'Trailer: X-Checksum', 'Content-Length: 2') + '{}'], ending: 'end' },
  trailers: { parts: [head('200 OK', type, 'Trailer: X-Checksum', 'Transfer-Encoding: chunked'), chunk(json) + '0\r\nX-Checksum: abc\r\n\r\n'], ending: 'end' },
  'bare-lf': { parts: [`HTTP/1.1 200 OK\n${type}\nContent-Length: 2\n\n{}`], ending: 'end' },
  'bare-cr': { parts: [`HTTP/1.1 200 OK\r\nX-A: b\rX-C: d\r\n${type}\r\nContent-Length: 2\r\n\r\n{}`], ending: 'end' },
  nul: { parts: [head('200 OK', 'X-Nul: a\0b', 'Content-Length: 2') + '{}'], ending: 'end' },
  'header-without-colon': { parts: [head('200 OK', 'nonsense', 'Content-Length: 2') + '{}'], ending: 'end' },
  'space-before-colon': { parts: [head('200 OK', 'Content-Length : 2') + '{}'], ending: 'end' },
  'folded-header': { parts: [head('200 OK', 'X-Fold: a\r\n b', 'Content-Length: 2') + '{}'], ending: 'end' },
  'empty-header-name': { parts: [head('200 OK', ': a', 'Content-Length: 2') + '{}'], ending: 'end' },
  'not-modified-with-length': { parts: [head('304 Not Modified', 'ETag: "1"', 'Content-Length: 12')], ending: 'end' },
  'no-content-with-body': { parts: [head('204 No Content', 'Content-Length: 2') + '{}'], ending: 'end' },
  'early-hints': { parts: [head('103 Early Hints', 'Link: </style.css>; rel=preload'), whole()], ending: 'end' },
  'many-continues': { parts: [head('100 Continue').repeat(50), whole()], ending: 'end' },
  'duplicate-headers': { parts: [whole('X-Twice: one', 'X-Twice: two', 'Link: <a>; rel=next', 'Link: <b>; rel=last')], ending: 'end' },
  'set-cookie': { parts: [whole('Set-Cookie: session=abc; Secure; HttpOnly', 'Set-Cookie: other=def')], ending: 'end' },
  'hop-by-hop': { parts: [whole('Connection: close, X-Hop', 'X-Hop: secret', 'Keep-Alive: timeout=5', 'Proxy-Authenticate: Basic', 'Upgrade: h2c')], ending: 'end' },
  'gzip-garbage': { parts: [whole('Content-Encoding: gzip')], ending: 'end' }
} as const satisfies Record<string, RawAnswer>

/**
 * Beside the raw ones: `echo-request` answers with the request's headers, the key among them; `poison` sends a second answer,
 * which nobody asked for, on the idle connection; `unread-body` neither reads the request's body nor answers.
 */
export type FaultName = keyof typeof rawFaults | 'echo-request' | 'poison' | 'unread-body'

export const faultNames: readonly FaultName[] = [...Object.keys(rawFaults) as Array<keyof typeof rawFaults>, 'echo-request', 'poison', 'unread-body']

export const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'

export function rawFault (name: string): RawAnswer | undefined {
  return Object.hasOwn(rawFaults, name) ? rawFaults[name as keyof typeof rawFaults] : undefined
}
