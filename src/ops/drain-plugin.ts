import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { proxyError } from '../errors.ts'
import { Connections } from './connections.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** ops: open connections and answers, for the drain and the metrics. */
    connections: Connections
  }
}

/** What may still be asked of a proxy on its way out. */
const stillServed = /^\/_proxy\/(livez|readyz|status|metrics)(\?|$)/

/**
 * Keeps count of what is open. While draining, a request that still comes in on a kept connection is refused
 * (nothing of it was forwarded, so it can be sent again elsewhere), after the trail has opened its entry.
 */
function plugDrain (app: FastifyInstance, _options: object, done: () => void): void {
  const connections = new Connections()
  app.decorate('connections', connections)
  connections.watch(app.server)
  app.addHook('onListen', async () => { connections.watchUpgrades(app.server) })
  app.addHook('onRequest', function countAnswer (request: FastifyRequest, reply: FastifyReply, next) {
    if (!request.upgrade) connections.add(reply.raw)
    next(app.health.draining && !stillServed.test(request.url) ? proxyError('draining', { retryAfter: 1 }) : undefined)
  })
  done()
}

export default fastifyPlugin(plugDrain, { name: 'drain', dependencies: ['health', 'trail'] })
