import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { ListenAddress } from '../config/kinds.ts'
import { serveProbes } from './health-routes.ts'
import type { Health } from './health.ts'
import { writeAddress } from './show-settings.ts'

/**
 * The second listener: probes and metrics, for those who can't send the Host or token that the main one asks
 * for (the kubelet, Prometheus). It goes on answering while the main one drains.
 */
export function createHealthListener (health: Health, isListening: () => boolean, log: FastifyBaseLogger): FastifyInstance {
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    keepAliveTimeout: 5000,
    requestTimeout: 10_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 2000, maxHeaderSize: 16_384 },
    bodyLimit: 1,
    forceCloseConnections: true
  })
  app.server.maxConnections = 64
  serveProbes(app, health, isListening)
  return app
}

export async function startHealthListener (app: FastifyInstance, address: ListenAddress): Promise<void> {
  try {
    const listenTextResolver = (url: string) => `health and metrics at ${url}`
    await app.listen({ ...('socketPath' in address ? { path: address.socketPath } : address), listenTextResolver })
  } catch (cause) {
    throw new Error(`PROXY_HEALTH_LISTEN=${writeAddress(address)}: cannot listen (${(cause as NodeJS.ErrnoException).code ?? 'unknown'}); choose another address, or stop what listens there`, { cause })
  }
}
