import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { detailMetrics } from './detail-metrics.ts'
import type { Health } from './health.ts'
import { keyMetrics } from './key-metrics.ts'
import { prefix, registerFamily, type MetricFamily } from './metric-family.ts'
import { requestMetrics } from './request-metrics.ts'
import { RequestTally } from './request-tally.ts'
import { connectionMetrics, healthMetrics, memberMetrics } from './room-metrics.ts'
import { matchRoute } from './routes.ts'
import { certificateMetrics, watchUpstreamCertificate } from './upstream-certificate.ts'
import type { Program } from './health-plugin.ts'

export interface MetricsPluginOptions {
  program: Program
}

/** Serves `/_proxy/metrics` on both listeners. Registered after every room it reads from. */
function plugMetrics (app: FastifyInstance, { program }: MetricsPluginOptions, done: () => void): void {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 50 })
  const tally = new RequestTally(matchRoute)
  app.trail.onClosed(entry => { tally.add(entry) })
  const certificate = watchUpstreamCertificate(app.upstream.origin)
  app.addHook('onClose', async () => { certificate.stop() })
  const health = app.health as Health
  const families: MetricFamily[] = [
    { name: `${prefix}info`, help: 'What runs.', type: 'gauge', collect: () => [{ labels: { version: program.version, node: program.node, region: app.upstream.region }, value: 1 }] },
    ...requestMetrics(tally),
    ...connectionMetrics(app),
    ...memberMetrics(app),
    ...keyMetrics(app),
    ...certificateMetrics(certificate),
    ...healthMetrics(health),
    ...detailMetrics(health)
  ]
  for (const family of families) registerFamily(registry, family)
  for (const listener of [app, app.healthListener]) serveMetrics(listener, registry)
  done()
}

function serveMetrics (app: FastifyInstance | undefined, registry: Registry): void {
  app?.get('/_proxy/metrics', { config: { trail: false } }, async (_request, reply) => {
    reply.header('content-type', registry.contentType).header('cache-control', 'no-store')
    return await registry.metrics()
  })
}

export default fastifyPlugin(plugMetrics, { name: 'metrics', dependencies: ['health', 'trail', 'drain', 'access-key', 'team', 'upstream'] })
