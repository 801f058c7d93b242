import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { UpstreamAnswer, UpstreamRequest } from '../decorations.ts'
import { proxyError } from '../errors.ts'
import type { OpenEntry } from '../trail/record.ts'
import { describeFailure, record, sendFor } from './upstream-calls.ts'

/**
 * What other rooms do to a request on its way out and to an answer on its way in, handed over by app.ts. Header lists are
 * flat: name, value, name, value …
 */
export interface AnswerHygiene {
  /** guard: the client's headers that go on. Never Host, never Authorization. */
  requestHeaders (request: FastifyRequest): string[]
  /** guard: upstream's headers that come down. */
  responseHeaders (headers: string[], request: FastifyRequest): string[]
  /** access-key: what an answer's body passes through; `undefined` when nothing has to be looked into. */
  bodyTransform (headers: UpstreamAnswer['headers'], request: FastifyRequest): BodyTransform | undefined
  /** trail: reads the error out of an answer's body while it passes. */
  errorReader (status: number, contentType: string | undefined): ErrorReader | undefined
  /** access-key: masks our own keys in what must keep its length. */
  maskStream (): BodyTransform | undefined
}

export interface ErrorReader {
  push (chunk: Buffer): void
  end (): { type: string | null, message: string | null, requestId: string | null }
}

export interface BodyTransform {
  push (chunk: Buffer): Buffer
  end (): Buffer
}

/** Framing and length are made anew here; a preference that is carried out here is not the API's business. */
const notForwarded = new Set(['content-length', 'prefer', 'accept-encoding'])
const notAnswered = new Set(['content-length'])

export function passThrough (data: Buffer, transform: BodyTransform | undefined): Buffer {
  return transform === undefined ? data : Buffer.concat([transform.push(data), transform.end()])
}

/** An answer of the proxy's own to a request of the API's. */
export function answerOwn (request: FastifyRequest, reply: FastifyReply, status: number, body?: unknown): FastifyReply {
  reply.code(status).header('X-Request-ID', request.entry.id).header('Cache-Control', 'no-store')
  if (body === undefined) return reply.send()
  if (typeof body === 'string') return reply.type('text/plain; charset=utf-8').send(body)
  return reply.type('application/json; charset=utf-8').send(JSON.stringify(body))
}

/** The request's body, read whole. */
export async function readBody (request: FastifyRequest, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request.raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      request.entry.bytes_in += chunk.length
      if (request.entry.bytes_in > maxBytes) break
      chunks.push(chunk)
    }
  } catch (cause) {
    throw proxyError('validation_error', { message: 'The request body broke off.', cause })
  }
  if (request.entry.bytes_in > maxBytes) throw proxyError('validation_error', { message: 'The request body is too large for this endpoint of the API.' })
  return Buffer.concat(chunks)
}

/** Sends a member's request on under its own entry, recorded first; given up when the member leaves. */
export async function sendOn (request: FastifyRequest, reply: FastifyReply, hygiene: AnswerHygiene, wire: Partial<Pick<UpstreamRequest, 'method' | 'path' | 'body'>>): Promise<UpstreamAnswer> {
  const { entry, server } = request
  const key = server.accessKey.current()
  if (key !== undefined) entry.key_fingerprint = key.fingerprint
  await record(server.trail, entry)
  const gone = new AbortController()
  reply.raw.once('close', () => { if (!reply.raw.writableFinished) gone.abort() })
  try {
    const headers = toRecord(hygiene.requestHeaders(request), notForwarded)
    const body = wire.body !== undefined && wire.body.length > 0 ? { body: wire.body } : {}
    const answer = await sendFor(server.upstream, entry, { method: wire.method ?? request.method, path: wire.path ?? request.target.forward, headers, ...body, signal: gone.signal })
    entry.outcome = 'answered'
    return answer
  } catch (error) {
    Object.assign(entry, describeFailure(error))
    throw error
  }
}

/** Passes the API's answer on; `text` is its body if that has been read already. */
export function passAnswer (request: FastifyRequest, reply: FastifyReply, hygiene: AnswerHygiene, answer: UpstreamAnswer, text?: string): FastifyReply {
  const headers = hygiene.responseHeaders(Object.entries(answer.headers).flatMap(flatten), request)
  reply.code(answer.status)
  for (const [name, value] of Object.entries(toRecord(headers, notAnswered))) reply.header(name, value)
  if (answer.status === 204 || answer.status === 205) return reply.send()
  const contentType = answer.headers['content-type']
  const parts: BodyParts = {
    body: text === undefined ? answer.body : [Buffer.from(text)],
    transform: hygiene.bodyTransform(answer.headers, request),
    errorReader: answer.status < 400 ? undefined : hygiene.errorReader(answer.status, typeof contentType === 'string' ? contentType : undefined)
  }
  return reply.send(Readable.from(pass(request.entry, parts), { objectMode: false }))
}

interface BodyParts {
  body: AsyncIterable<Buffer> | Buffer[]
  transform: BodyTransform | undefined
  errorReader: ErrorReader | undefined
}

async function * pass (entry: OpenEntry, { body, transform, errorReader }: BodyParts): AsyncGenerator<Buffer> {
  for await (const chunk of body) {
    errorReader?.push(chunk)
    const out = transform === undefined ? chunk : transform.push(chunk)
    entry.bytes_out += out.length
    yield out
  }
  // What was read before has its time already.
  if (entry.answeredAt === 0) entry.answeredAt = performance.now()
  noteError(entry, errorReader)
  const tail = transform?.end()
  if (tail === undefined || tail.length === 0) return
  entry.bytes_out += tail.length
  yield tail
}

function noteError (entry: OpenEntry, errorReader: ErrorReader | undefined): void {
  if (errorReader === undefined) return
  const { type, message, requestId } = errorReader.end()
  entry.error_type = type
  entry.error_message = message
  entry.upstream_request_id ??= requestId
}

function flatten ([name, value]: [string, string | string[] | undefined]): string[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value.flatMap(one => [name, one]) : [name, value]
}

function toRecord (flat: string[], without: ReadonlySet<string>): Record<string, string> {
  const headers: Record<string, string> = {}
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const name = (flat[index] as string).toLowerCase()
    const value = flat[index + 1] as string
    if (!without.has(name)) headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return headers
}
