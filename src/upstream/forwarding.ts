import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Secret } from '../access-key/secret.ts'
import type { ProxyError } from '../errors.ts'

/**
 * What forwarding needs of other rooms, handed over by app.ts. Header lists are flat: name, value, name, value …, as they
 * stand on the wire.
 */
export interface Forwarding {
  /** guard: the client's headers that go on. Never Host, never Authorization. */
  requestHeaders (request: FastifyRequest): string[]
  /** guard: upstream's headers that come down. */
  responseHeaders (headers: string[], request: FastifyRequest): string[]
  /** guard, access-key: what upstream says beside its status. */
  reasonPhrase (text: string): string
  /** Headers that every answer of this request carries: our id, CORS, advice. */
  ownHeaders (request: FastifyRequest): string[]
  /** access-key: what an answer's body passes through; `undefined` when nothing has to be looked into. */
  bodyTransform (headers: AnswerHeaders, request: FastifyRequest): BodyTransform | undefined
  /** trail: reads the error out of an answer's body while it passes. */
  errorReader (status: number, contentType: string | undefined): ErrorReader | undefined
  /** Answers in the proxy's own name. */
  answerError (request: FastifyRequest, reply: FastifyReply, error: ProxyError): void
  /** access-key: masks our own keys in a stream whose length must not change (WebSocket frames). */
  maskStream (): BodyTransform | undefined
}

/** Parsed headers of an upstream answer, names in lower case. */
export type AnswerHeaders = Record<string, string | string[] | undefined>

export interface BodyTransform {
  /** `push` may return more or fewer bytes than it was given: Content-Length has to go. */
  readonly changesLength: boolean
  push (chunk: Buffer): Buffer
  end (): Buffer
}

export interface ErrorReader {
  push (chunk: Buffer): void
  end (): { type: string | null, message: string | null, requestId: string | null }
}

/** Appends what only the proxy may say: whom it talks to, and the key. */
export function completeHeaders (headers: string[], host: string, key: Secret): string[] {
  headers.push('Host', host, 'Authorization', `Bearer ${key.reveal()}`)
  return headers
}

/** RFC 9112 §6: a request has a body if, and only if, it has a framing header. */
export function hasBody (headers: FastifyRequest['headers']): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && headers['content-length'] !== '0')
}
