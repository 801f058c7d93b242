import { STATUS_CODES } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { catalogue, errorBody } from '../errors.ts'
import type { ErrorType } from '../errors.ts'
import type { OpenEntry } from '../trail/record.ts'
import { allowedMethods } from './origins.ts'

export interface RawAnswer {
  /** In place of the catalogue's. */
  message?: string
  /** Further headers, flat. */
  headers?: readonly string[]
}

const refused = new WeakSet<Duplex>()

/**
 * Whoever frames or addresses a request in two ways may have sent a second one inside it: nothing more from there may
 * be served. `Connection: close` alone isn't enough, since Node has parsed what came in the same segment already.
 */
export function forbidMore (socket: Duplex): void {
  refused.add(socket)
}

export function isForbidden (socket: Duplex): boolean {
  return refused.has(socket)
}

function describeAnswer (type: ErrorType, requestId: string, { message = catalogue[type].message, headers = [] }: RawAnswer) {
  const { code } = catalogue[type]
  const body = JSON.stringify(errorBody(Object.assign(new Error(message), { type }), requestId))
  return {
    code,
    body,
    headers: [
      'Content-Type', 'application/json; charset=utf-8',
      'Content-Length', String(Buffer.byteLength(body)),
      'Connection', 'close',
      'X-Proxy-Error', type,
      'X-Proxy-Request-ID', requestId,
      'X-Request-ID', requestId,
      ...(code === 405 ? ['Allow', allowedMethods.join(', ')] : []),
      ...headers
    ]
  }
}

function formatAnswer ({ code, headers, body }: ReturnType<typeof describeAnswer>): string {
  const lines = headers.flatMap((name, i) => i % 2 === 0 ? [`${name}: ${headers[i + 1] ?? ''}`] : [])
  return [`HTTP/1.1 ${code} ${STATUS_CODES[code] ?? 'Error'}`, ...lines, '', body].join('\r\n')
}

function describeOutcome (entry: OpenEntry, type: ErrorType, { message }: RawAnswer): void {
  entry.status = catalogue[type].code
  entry.error_type = type
  entry.error_message = message ?? catalogue[type].message
}

/**
 * Answers on the bare socket what never became a request, or broke off inside one: same body and headers as every
 * other answer in the proxy's own name. Hangs up, also on a peer that doesn't read: what the system hasn't taken by then is lost.
 */
export function answerSocket (socket: Duplex, type: ErrorType, entry: OpenEntry, answer: RawAnswer = {}): void {
  forbidMore(socket)
  describeOutcome(entry, type, answer)
  socket.end(formatAnswer(describeAnswer(type, entry.id, answer)), () => { socket.destroy() })
}

/** The same for a request that has a response of its own, which waits for its turn on the connection. */
export function answerResponse (response: ServerResponse, type: ErrorType, entry: OpenEntry, answer: RawAnswer = {}): void {
  forbidMore(response.req.socket)
  describeOutcome(entry, type, answer)
  const { code, headers, body } = describeAnswer(type, entry.id, answer)
  response.writeHead(code, headers)
  response.end(body)
}
