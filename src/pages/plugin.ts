import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { Readable } from 'node:stream'
import { isProxyError } from '../errors.ts'
import { chooseFormat } from './format.ts'
import { readListRequest } from './list-request.ts'
import type { ErrorReader, Refusal } from './refusal.ts'
import { PageRefused, WholeList } from './whole-list.ts'

/** What other rooms do to an answer on its way in, handed over by app.ts. Header lists are flat: name, value, name, value … */
export interface PagesHygiene {
  /** guard: upstream's headers that come down. */
  responseHeaders (headers: string[], request: FastifyRequest): string[]
  /** access-key: what an answer's body passes through, `undefined` when nothing has to be looked for. */
  bodyTransform (headers: Record<string, string | string[] | undefined>, request: FastifyRequest): BodyTransform | undefined
  /** trail: reads the error out of an answer's body. */
  errorReader (status: number, contentType: string | undefined): ErrorReader | undefined
}

export interface PagesOptions {
  hygiene: PagesHygiene
}

interface BodyTransform {
  push (chunk: Buffer): Buffer
  end (): Buffer
}

/** `GET /_proxy/pages/<list path of the API>?<its parameters>`: all pages of a list as one answer. */
function pages (app: FastifyInstance, { hygiene }: PagesOptions, done: () => void): void {
  app.get('/_proxy/pages/*', { exposeHeadRoute: false }, async (request, reply) => await answer(app, hygiene, request, reply))
  done()
}

async function answer (app: FastifyInstance, hygiene: PagesHygiene, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const list = readListRequest(request.target)
  if (isProxyError(list)) throw list
  const format = chooseFormat(request.headers.accept)
  const signal = signalLeaving(reply)
  const whole = new WholeList({ app, request, list, format, errorReader: hygiene.errorReader, signal })
  await record(app, request)
  const vary = reply.getHeader('vary')
  reply.headers({ 'Cache-Control': 'no-store', Vary: vary === undefined ? 'Accept' : `${String(vary)}, Accept` })
  try {
    await whole.begin()
  } catch (error) {
    // There is nobody to answer any more, and it is no failure.
    if (signal.aborted) return reply.hijack()
    if (error instanceof PageRefused) return passOn(error.refusal, hygiene, request, reply)
    throw error
  }
  // It is the API's answer that is passed on, if in pages: the console shows it beside all other requests.
  request.entry.outcome = 'answered'
  reply.type(format.contentType)
  return await reply.send(Readable.from(count(request, transform(whole.bytes(), hygiene, request)), { objectMode: false }))
}

/** The list's own record is written before those of its pages, which name it. */
function record (app: FastifyInstance, { entry }: FastifyRequest): Promise<void> {
  return new Promise((resolve, reject) => app.trail.record(entry, error => error === undefined ? resolve() : reject(error)))
}

function signalLeaving (reply: FastifyReply): AbortSignal {
  const leaving = new AbortController()
  reply.raw.once('close', () => leaving.abort(new Error('the client left')))
  return leaving.signal
}

async function * transform (bytes: AsyncIterable<Buffer>, { bodyTransform }: PagesHygiene, request: FastifyRequest): AsyncGenerator<Buffer> {
  const through = bodyTransform({ 'content-type': 'application/json' }, request)
  if (through === undefined) return yield * bytes
  for await (const chunk of bytes) yield through.push(chunk)
  yield through.end()
}

async function * count ({ entry }: FastifyRequest, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of bytes) {
    entry.bytes_out += chunk.length
    if (chunk.length > 0) yield chunk
  }
}

/** There is no first page: what the API says instead is the answer. */
function passOn (refusal: Refusal, hygiene: PagesHygiene, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, headers, type, message, requestId } = refusal
  Object.assign(request.entry, { outcome: 'answered', error_type: type, error_message: message, upstream_request_id: requestId })
  const flat = hygiene.responseHeaders(Object.entries(headers).flatMap(flatten), request)
  for (let index = 0; index + 1 < flat.length; index += 2) reply.header(flat[index] as string, flat[index + 1])
  const through = hygiene.bodyTransform(headers, request)
  return reply.code(status).send(through === undefined ? refusal.body : Buffer.concat([through.push(refusal.body), through.end()]))
}

function flatten ([name, value]: [string, string | string[] | undefined]): string[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value.flatMap(one => [name, one]) : [name, value]
}

export default fastifyPlugin(pages, { name: 'pages', dependencies: ['health', 'trail', 'access-key', 'guard', 'team', 'upstream'] })
