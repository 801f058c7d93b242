import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { regions } from '../config/regions.ts'
import type { Settings } from '../config/table.ts'
import type { Program } from './health-plugin.ts'
import type { Tracing } from './tracing.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** ops: `undefined` while nothing is traced. */
    tracing: Pick<Tracing, 'send'> | undefined
  }
}

export interface TracingPluginOptions {
  settings: Settings
  program: Program
  redact: (text: string) => string
}

/** Routine questions of machines aren't traced. */
const untraced = /^\/_proxy\/(livez|readyz|metrics)(\?|$)/

/** Registered right after the trail, so that an entry has its trace id before anything is recorded of it. */
async function plugTracing (app: FastifyInstance, { settings, program, redact }: TracingPluginOptions): Promise<void> {
  const { otlpEndpoint: endpoint, otlpHeaders: headers } = settings
  if (endpoint === undefined) {
    app.decorate('tracing', undefined)
    return
  }
  const { createTracing } = await import('./tracing.ts')
  const tracing = createTracing({
    endpoint,
    headers,
    version: program.version,
    scheme: settings.tlsCertFile === undefined ? 'http' : 'https',
    origin: settings.apiHost ?? regions[settings.region],
    redact
  })
  app.decorate('tracing', tracing)
  app.addHook('onRequest', function openSpan (request, _reply, next) {
    if (!untraced.test(request.url)) request.entry.trace_id = tracing.open(request.entry, request.headers)
    next()
  })
  app.trail.onClosed(entry => { tracing.close(entry) })
  app.health.register('tracing', () => {
    const { failing, ...details } = tracing.report()
    return { state: failing ? 'degraded' : 'ok', ready: true, details: { endpoint, ...details, ...(failing && { reason: 'the collector does not take spans' }) } }
  })
  app.addHook('onClose', async () => { await tracing.stop().catch(() => {}) })
}

export default fastifyPlugin(plugTracing, { name: 'tracing', dependencies: ['health', 'trail'] })
