import Fastify, { type FastifyInstance } from 'fastify'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { HealthReport, Member } from '../../src/decorations.ts'
import { loadSettings } from '../../src/config/load.ts'
import { errorBody, isProxyError } from '../../src/errors.ts'
import type { OpenEntry } from '../../src/trail/record.ts'
import trail, { type TrailOptions } from '../../src/trail/plugin.ts'
import trailApi from '../../src/trail/api.ts'
import { showSettings } from '../../src/ops/show-settings.ts'
import { describeContext } from '../../src/trail/bundle-context.ts'

export interface TrailApp {
  app: FastifyInstance
  url: string
  root: string
  /** Every entry that was closed. */
  closed: OpenEntry[]
  reports: Map<string, () => HealthReport>
  logs: Array<{ msg: string } & Record<string, unknown>>
  /** Ends what `onRevoked` and `onDrain` are for. */
  revoke: () => void
  drain: () => void
}

export interface TrailAppOptions extends Partial<TrailOptions> {
  root?: string
  flags?: Record<string, string>
  /** More routes, before it listens. */
  routes?: (app: FastifyInstance) => void
}

/**
 * The trail's two plugins on a real server, with the least of the rooms around them: the member is who the header
 * `x-test-member` says (`name` or `name:admin`), errors are answered as the app does.
 */
export async function startTrailApp (t: Test, { root = makeRoot(t), flags = {}, routes, ...options }: TrailAppOptions = {}): Promise<TrailApp> {
  const settings = loadSettings({ flags: { '--trail': `sqlite:${join(root, 'trail.db')}`, ...flags }, environment: {}, dotenv: {} })
  const logs: TrailApp['logs'] = []
  const reports = new Map<string, () => HealthReport>()
  const revoking = new Set<() => void>()
  const draining = new Set<() => void>()
  const app = Fastify({ logger: { level: 'info', stream: { write: (line: string) => { logs.push(JSON.parse(line) as never) } } }, forceCloseConnections: true })
  app.decorate('health', { register: (name: string, report: () => HealthReport) => { reports.set(name, report) }, onDrain: (listener: () => void) => { draining.add(listener); return () => draining.delete(listener) } } as never)
  await app.register(Object.assign(async () => {}, { [Symbol.for('plugin-meta')]: { name: 'health' }, [Symbol.for('skip-override')]: true }))
  await app.register(Object.assign(async () => {}, { [Symbol.for('plugin-meta')]: { name: 'team' }, [Symbol.for('skip-override')]: true }))
  app.decorate('team', { onRevoked: (_member: Member, close: () => void) => { revoking.add(close); return () => revoking.delete(close) } } as never)
  app.setErrorHandler((error, request, reply) => {
    const known = isProxyError(error) ? error : undefined
    request.entry.error_type = known?.type ?? 'internal_error'
    request.entry.error_message = (error as Error).message
    return reply.code(known?.statusCode ?? 500).send(known === undefined ? { message: (error as Error).message } : errorBody(known, request.entry.id))
  })
  await app.register(trail, { settings, redact: text => text.replaceAll('ak_secret', '[key]'), context: describeContext(settings, { version: '0.0.0-test', node: process.version }, showSettings(settings)), ...options })
  const closed: OpenEntry[] = []
  app.trail.onClosed(entry => closed.push(entry))
  app.decorateRequest('member', null as unknown as Member)
  app.addHook('onRequest', async request => {
    const [name = '', role = 'member'] = String(request.headers['x-test-member'] ?? 'root:admin').split(':')
    request.member = { name, role: role as Member['role'] }
    request.entry.member = name
  })
  await app.register(trailApi, { settings })
  routes?.(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return { app, url: app.listeningOrigin, root, closed, reports, logs, revoke: () => revoking.forEach(close => close()), drain: () => draining.forEach(close => close()) }
}

export function makeRoot (t: Test): string {
  const root = mkdtempSync(join(tmpdir(), 'izuma-trail-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  return root
}

/** Forwards as upstream would: the intent first, then an answer. */
export function forwardRoute (answer: (entry: OpenEntry, query: Record<string, string>) => { status: number, body: string } = () => ({ status: 200, body: '{}' })) {
  return (app: FastifyInstance): void => {
    app.all('/v3/*', (request, reply) => {
      reply.hijack()
      app.trail.record(request.entry, error => {
        const entry = request.entry
        if (error !== undefined) {
          Object.assign(entry, { outcome: 'refused', error_type: 'trail_unavailable', error_message: error.message })
          reply.raw.writeHead(503).end()
          return
        }
        entry.attempts = 1
        const { status, body } = answer(entry, request.query as Record<string, string>)
        Object.assign(entry, { status, outcome: 'answered', ttfb_ms: performance.now() - entry.openedAt, bytes_out: body.length, upstream_request_id: `0f${entry.id.slice(2)}` })
        reply.raw.writeHead(status, reply.getHeaders() as never).end(body)
      })
    })
  }
}
