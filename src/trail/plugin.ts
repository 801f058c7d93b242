import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ServerResponse } from 'node:http'
import type { Settings } from '../config/table.ts'
import type { HealthReport } from '../decorations.ts'
import type { ProxyContext } from './bundle-context.ts'
import { judgeOutcome } from './closing.ts'
import { systemClock, type Clock } from './entry.ts'
import { drawProcessId } from './identifiers.ts'
import { Journal } from './journal.ts'
import { findPlaces } from './places.ts'
import type { Intent, OpenEntry } from './record.ts'
import type { SegmentFiles } from './segment-writer.ts'
import { Recorder } from './service.ts'
import { Storing } from './storing.ts'

export interface TrailOptions {
  settings: Pick<Settings, 'trail' | 'trailJournal' | 'trailSync' | 'trailOnFailure' | 'trailRetention' | 'trailMaxSize' | 'region'>
  /** Takes every secret out of a text. */
  redact: (text: string) => string
  /** What support bundles tell of this proxy. */
  context?: ProxyContext
  clock?: Clock
  /** The journal's file calls, for tests that make them fail. */
  files?: SegmentFiles
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `false`: successful requests of this route leave no record (health checks, the page's own files). Refusals do. */
    trail?: boolean
  }
}

/** Longest wait for the store when the proxy ends. What isn't stored by then stays on the journal. */
const drainTimeoutMs = 3000

const kEntry = Symbol('izuma-proxy.trail.entry')
const kReply = Symbol('izuma-proxy.trail.reply')
const kRecorder = Symbol('izuma-proxy.trail.recorder')

interface TracedResponse extends ServerResponse {
  [kEntry]: OpenEntry
  [kReply]: FastifyReply
  [kRecorder]: Recorder
}

async function trail (app: FastifyInstance, options: TrailOptions): Promise<void> {
  const { settings, redact, clock = systemClock } = options
  const { folder, store } = findPlaces(settings)
  const processId = drawProcessId()
  const storing: { current?: Storing } = {}
  const journal = new Journal({
    folder,
    onFailure: settings.trailOnFailure,
    sync: settings.trailSync,
    monotonic: clock.monotonic,
    onWritten: position => storing.current?.advance(position),
    onStateChange: failure => logState(app, settings.trailOnFailure, failure),
    ...options.files && { files: options.files }
  })
  storing.current = new Storing({
    folder,
    store,
    retention: { maxAgeMs: settings.trailRetention, maxBytes: settings.trailMaxSize },
    proxy: options.context && { id: processId, ...clean(options.context, redact) },
    log: (level, what, message) => app.log[level](what, message)
  })
  if (journal.position !== undefined) storing.current.advance(journal.position)
  app.addHook('onReady', async () => { storing.current?.begin() })

  const recorder = new Recorder({ clock, journal, redact, processId })
  app.decorate('trail', recorder)
  app.decorateRequest('entry', null as unknown as OpenEntry)
  app.addHook('onRequest', makeOpener(recorder, settings.region))
  registerHealth(app, journal, storing.current, settings.trailOnFailure)
  app.addHook('onClose', async () => {
    journal.end()
    await storing.current?.stop(journal.position, drainTimeoutMs)
    journal.release()
  })
}

/** A key may have got into a setting that is shown. */
function clean (context: ProxyContext, redact: (text: string) => string): ProxyContext {
  return JSON.parse(redact(JSON.stringify(context))) as ProxyContext
}

function logState (app: FastifyInstance, onFailure: string, failure: Error | undefined): void {
  if (failure === undefined) app.log.info('trail: the journal can be written again')
  else if (onFailure === 'block') app.log.error({ err: failure }, 'trail: the journal cannot be written; requests are refused until it can')
  else app.log.error({ err: failure }, 'trail: the journal cannot be written; requests are forwarded unrecorded until it can')
}

/** First of all hooks. One listener, shared by all requests: what it needs hangs on the response. */
function makeOpener (recorder: Recorder, region: string) {
  return function openEntry (request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    const entry = recorder.open(describeRequest(request, region))
    request.entry = entry
    reply.header('x-proxy-request-id', entry.id)
    const raw = reply.raw as TracedResponse
    raw[kEntry] = entry
    raw[kReply] = reply
    raw[kRecorder] = recorder
    raw.on('close', closeEntry)
    done()
  }
}

function describeRequest ({ raw }: FastifyRequest, region: string): Partial<Intent> {
  const url = raw.url as string
  const mark = url.indexOf('?')
  return {
    kind: raw.headers.upgrade?.toLowerCase() === 'websocket' ? 'websocket' : 'request',
    method: raw.method as string,
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? '' : url.slice(mark + 1),
    region,
    // From the socket and not from request.ip, which a trusted header could change.
    client_address: raw.socket.remoteAddress ?? '',
    client_agent: raw.headers['user-agent'] ?? ''
  }
}

/**
 * `close` comes once for every response, finished or not; Fastify's onResponse doesn't when the client leaves. A response
 * that gave its socket to a WebSocket has none: the room that took the socket closes the entry.
 */
function closeEntry (this: ServerResponse): void {
  const { [kEntry]: entry, [kReply]: reply, [kRecorder]: recorder } = this as TracedResponse
  if (entry.closed) return
  const finished = this.writableFinished
  if (this.headersSent) entry.status ??= this.statusCode
  entry.outcome = judgeOutcome(entry, finished)
  if (finished && entry.attempts === 0 && entry.bytes_out === 0) entry.bytes_out = Number(reply.getHeader('content-length') ?? 0) || 0
  if (entry.error_type === null && !entry.recorded && reply.routeOptions.config?.trail === false) recorder.drop(entry)
  else recorder.close(entry)
}

function registerHealth (app: FastifyInstance, journal: Journal, storing: Storing, onFailure: 'block' | 'continue'): void {
  if (!app.hasDecorator('health')) return
  app.health.register('trail', (): HealthReport => {
    const written = journal.status()
    const stored = storing.status()
    const failing = written.state === 'failing'
    return {
      state: failing ? (onFailure === 'block' ? 'failed' : 'degraded') : stored.fault === null ? 'ok' : 'degraded',
      ready: !(failing && onFailure === 'block'),
      details: { journal: written, store: stored }
    }
  })
}

export default fp(trail, { name: 'trail' })
