import proxy from '@fastify/http-proxy'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Agent } from 'node:https'
import { regions } from '../config/regions.ts'
import type { Settings } from '../config/table.ts'
import { AnswerWatch } from './answer-watch.ts'
import { openConnections } from './connections.ts'
import type { ExchangeContext } from './context.ts'
import { makeForwarder } from './forwarder.ts'
import type { Forwarding } from './forwarding.ts'
import { findIgnoredProxy } from './ignored-proxy.ts'
import { rehearseSending } from './rehearsal.ts'
import { makeSend } from './service.ts'
import { makeTimeLimits } from './time-limits.ts'
import { verifiedTls } from './tls-options.ts'
import { findUpgrade, listenForUpgrades } from './upgrade.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** upstream: sends a request that was let in on its way; it owns the reply from then on. */
    forward (request: FastifyRequest, reply: FastifyReply): void
  }
}

export interface UpstreamOptions {
  settings: Settings
  environment: Record<string, string | undefined>
  forwarding: Forwarding
}

/** Largest head of an answer that is taken, as llhttp's own default. */
const maxAnswerHeadBytes = 16 * 1024

/** The API's own methods and those of the HTTP standard that are safe to pass; TRACE and CONNECT would show the key. */
const methods = ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT', 'OPTIONS']

async function upstream (app: FastifyInstance, { settings, environment, forwarding }: UpstreamOptions): Promise<void> {
  const ignored = findIgnoredProxy(settings, environment)
  if (ignored !== undefined) app.log.warn({ variable: ignored }, 'a forward proxy from the environment is not obeyed: IZUMA_HTTPS_PROXY names one for the API')
  const origin = settings.apiHost ?? regions[settings.region]
  const host = new URL(origin).host
  const connections = openConnections(origin, settings, maxAnswerHeadBytes)
  const timeLimits = makeTimeLimits(settings)
  const context: ExchangeContext = {
    ...forwarding,
    connections,
    watch: new AnswerWatch(),
    accessKey: app.accessKey,
    pingIntervalMs: settings.websocketIdleTimeout,
    tunnels: new Set()
  }
  app.health.onDrain(() => { for (const tunnel of context.tunnels) tunnel.close(1001, 'the proxy is shutting down') })

  app.decorateRequest('upgrade', { getter () { return findUpgrade(this.raw) } })
  listenForUpgrades(app, app.server)
  app.decorate('forward', makeForwarder(context, host, timeLimits))
  app.decorate('upstream', {
    origin,
    region: settings.region,
    send: makeSend(connections, app.accessKey, host, timeLimits('/', undefined)),
    websocketOptions: () => describeDial(app, origin, settings)
  })
  app.health.register('upstream', () => ({ state: 'ok', ready: true, details: { origin, connections: connections.stats(), websockets: context.tunnels.size } }))
  app.upkeep.rehearse(rehearseSending)
  app.addHook('onClose', async () => {
    context.watch.close()
    await connections.close()
  })
}

function describeDial (app: FastifyInstance, origin: string, settings: Settings) {
  const key = app.accessKey.current()
  const tls = verifiedTls(settings)
  return {
    origin: origin.replace(/^https/, 'wss'),
    headers: key === undefined ? {} : { Authorization: `Bearer ${key.reveal()}` },
    // Through a forward proxy a WebSocket goes as everything else does: by CONNECT, TLS with the API itself.
    tls: settings.httpsProxy === undefined ? { ...tls } : { ...tls, agent: new Agent({ ...tls, keepAlive: false, proxyEnv: { HTTPS_PROXY: settings.httpsProxy } }) }
  }
}

/**
 * The catch-all: http-proxy mounts it, our forwarder does the rest. Registered last. As its preHandler and not as its handler, before
 * which http-proxy would take the address apart and put it together again, three URLs and a query made anew for each request:
 * what goes out is the one address that the guard has judged.
 */
export async function mountProxy (app: FastifyInstance): Promise<void> {
  app.addHook('preParsing', hideContentType)
  await app.register(proxy, {
    upstream: app.upstream.origin,
    httpMethods: methods,
    preHandler: (request, reply) => { app.forward(request, reply) },
    handler: () => { throw new Error('the forwarder owns every reply') },
    // reply-from's own connections are never used; verified all the same, in case they ever were.
    undici: { connections: 1, connect: { rejectUnauthorized: true } } as never
  })
}

/**
 * A body is opaque here, its type included: Fastify would refuse a Content-Type that it can't parse (415). What goes on
 * is taken from the raw headers, which keep it.
 */
function hideContentType ({ raw }: FastifyRequest, _reply: FastifyReply, _payload: unknown, done: () => void): void {
  delete raw.headers['content-type']
  done()
}

export default fp(upstream, { name: 'upstream', dependencies: ['health', 'upkeep', 'trail', 'access-key', 'guard', 'team'] })
