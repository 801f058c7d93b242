import { STATUS_CODES } from 'node:http'
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

/**
 * Answers written onto the bare socket, for what never becomes a request or breaks off inside one: same body and
 * headers as every other answer in the proxy's own name, and the connection ends.
 */
export function formatRawAnswer (type: ErrorType, requestId: string, { message = catalogue[type].message, headers = [] }: RawAnswer = {}): string {
  const { code } = catalogue[type]
  const body = JSON.stringify(errorBody(Object.assign(new Error(message), { type }), requestId))
  return [
    `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? 'Error'}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...(code === 405 ? [`Allow: ${allowedMethods.join(', ')}`] : []),
    `X-Proxy-Error: ${type}`,
    `X-Proxy-Request-ID: ${requestId}`,
    `X-Request-ID: ${requestId}`,
    ...formatPairs(headers),
    '',
    body
  ].join('\r\n')
}

function formatPairs (flat: readonly string[]): string[] {
  return flat.flatMap((name, i) => i % 2 === 0 ? [`${name}: ${flat[i + 1] ?? ''}`] : [])
}

/** Answers and hangs up, also on a peer that doesn't read: what the system hasn't taken by then is lost. */
export function answerAndClose (socket: Duplex, type: ErrorType, entry: OpenEntry, answer: RawAnswer = {}): void {
  entry.status = catalogue[type].code
  entry.error_type = type
  entry.error_message = answer.message ?? catalogue[type].message
  socket.end(formatRawAnswer(type, entry.id, answer), () => { socket.destroy() })
}
