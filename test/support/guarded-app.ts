import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { performance } from 'node:perf_hooks'
import { Writable } from 'node:stream'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Settings } from '../../src/config/table.ts'
import { errorBody, isProxyError } from '../../src/errors.ts'
import guard, { forwardRequestHeaders, listenerOptions, serverOptions } from '../../src/guard/plugin.ts'
import type { Intent, OpenEntry, Outcome } from '../../src/trail/record.ts'
import { makeEntry } from './entry.ts'
import { testSettings } from './ops-app.ts'

export interface GuardedApp {
  app: FastifyInstance
  port: number
  /** Entries in the order in which they were closed. */
  entries: OpenEntry[]
  /** What the route behind the guard got to see. */
  reached: FastifyRequest[]
  log: () => string
}

/** Hooks that stand where other rooms do. */
export interface GuardedAppOptions {
  settings?: Partial<Settings>
  /** Behind the guard, where team stands. */
  judge?: (request: FastifyRequest) => Error | undefined
  /** Called with each request that is let in; the answer waits for it. */
  serve?: (request: FastifyRequest) => Promise<unknown>
}

/** A real server with the guard, a trail in memory, and a route that answers with what it would forward. */
export async function startGuardedApp ({ settings: changes = {}, judge = () => undefined, serve = async () => undefined }: GuardedAppOptions = {}): Promise<GuardedApp> {
  const settings = { ...testSettings(), ...changes }
  const entries: OpenEntry[] = []
  const reached: FastifyRequest[] = []
  let log = ''
  const stream = new Writable({ write (chunk, _encoding, done) { log += String(chunk); done() } })
  const app = Fastify({ ...listenerOptions(settings), http: serverOptions(settings), logger: { stream, level: 'warn' }, forceCloseConnections: true }) as unknown as FastifyInstance
  await app.register(fp(async app => { recordInMemory(app, entries) }, { name: 'trail' }))
  await app.register(guard, { settings })
  app.addHook('onRequest', (request, _reply, next) => { next(judge(request)) })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => { done(null) })
  app.setErrorHandler((error, request, reply) => {
    if (!isProxyError(error)) throw error
    Object.assign(request.entry, { status: error.statusCode, error_type: error.type })
    reply.code(error.statusCode).header('x-proxy-error', error.type).send(errorBody(error, request.entry.id))
  })
  const answer = async (request: FastifyRequest) => {
    reached.push(request)
    const { target } = request
    return await serve(request) ?? { target, method: request.method, headers: forwardRequestHeaders(request.raw.rawHeaders, { acceptEncoding: value => value }) }
  }
  app.all('/*', answer)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, port: (app.server.address() as AddressInfo).port, entries, reached, log: () => log }
}

function recordInMemory (app: FastifyInstance, entries: OpenEntry[]): void {
  const close = (entry: OpenEntry, outcome?: Partial<Outcome>) => {
    if (entry.closed) return
    entries.push(Object.assign(entry, outcome, { closed: true }))
  }
  const open = (intent: Partial<Intent>) => makeEntry({ outcome: 'open', status: null, attempts: 0, closed: false, openedAt: performance.now(), ...intent })
  app.decorate('trail', { open, close, record: (_entry: OpenEntry, done: () => void) => done() } as never)
  app.decorateRequest('entry')
  app.addHook('onRequest', (request, reply, next) => {
    request.entry = open({ method: request.method, path: request.raw.url ?? '', client_address: request.raw.socket.remoteAddress ?? '' })
    reply.header('x-proxy-request-id', request.entry.id)
    reply.raw.on('close', () => close(request.entry, { outcome: reply.raw.writableFinished ? (request.entry.status === null ? 'answered' : 'refused') : 'client_aborted' }))
    next()
  })
}

export interface RawAnswer {
  /** Everything that came back, as latin1. */
  text: string
  /** Of the first answer; 0 without one. */
  status: number
  /** The server closed the connection by itself. */
  closed: boolean
}

/**
 * Sends bytes as they are, in the given pieces, and collects what comes back until the server closes, or until it has
 * answered and then said nothing more for `quietMs`.
 */
export async function sendRaw (port: number, pieces: string | string[], { quietMs = 60, limitMs = 5000 } = {}): Promise<RawAnswer> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let text = ''
  return new Promise(resolve => {
    let quiet: NodeJS.Timeout | undefined
    const finish = (closed: boolean) => {
      clearTimeout(limit)
      clearTimeout(quiet)
      socket.destroy()
      resolve({ text, status: Number(/^HTTP\/1\.1 ([0-9]{3}) /.exec(text.replace(/^HTTP\/1\.1 100[^]*?\r\n\r\n/, ''))?.[1] ?? 0), closed })
    }
    const limit = setTimeout(() => finish(false), limitMs)
    socket.on('error', () => {})
    socket.on('close', () => finish(true))
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
      clearTimeout(quiet)
      quiet = setTimeout(() => finish(false), quietMs)
    })
    socket.once('connect', () => { writePieces(socket, [pieces].flat()) })
  })
}

async function writePieces (socket: ReturnType<typeof connect>, pieces: string[]): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return
    socket.write(piece, 'latin1')
    // Let the server see this piece on its own.
    await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  }
}
