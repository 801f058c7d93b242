import { performance } from 'node:perf_hooks'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Settings } from '../config/table.ts'
import { watchEventLoop } from './event-loop.ts'
import { createHealthListener, startHealthListener } from './health-listener.ts'
import { sendJson, serveProbes } from './health-routes.ts'
import { createHealth, type Health } from './health.ts'
import { showSettings } from './show-settings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** ops: the second listener, if there is one; metrics are served there too. */
    healthListener: FastifyInstance | undefined
  }
}

/** What `status` says of the program itself. */
export interface Program {
  version: string
  /** Of Node.js. */
  node: string
}

export interface HealthPluginOptions {
  settings: Settings
  program: Program
  /** The last look at a status page before it goes out: a key that got into a setting or a detail. */
  redact: (text: string) => string
}

function plugHealth (app: FastifyInstance, { settings, program, redact }: HealthPluginOptions, done: () => void): void {
  const health = createHealth()
  const eventLoop = watchEventLoop()
  health.register('event-loop', eventLoop.report)
  app.decorate('health', health)
  serveProbes(app, health)
  serveStatus(app, withSettings => redact(JSON.stringify({
    object: 'status', ...program, started_at: new Date(performance.timeOrigin).toISOString(), uptime_seconds: Math.round(performance.now() / 1000), ...health.overview(), ...(withSettings && { settings: showSettings(settings) })
  })))
  if (settings.quitEndpoint) serveQuit(app, health)
  const second = settings.healthListen && createHealthListener(health, () => app.server.listening, app.log)
  app.decorate('healthListener', second)
  if (second && settings.healthListen) {
    const address = settings.healthListen
    app.addHook('onReady', () => startHealthListener(second, address))
  }
  app.addHook('onClose', async () => {
    eventLoop.stop()
    await second?.close()
  })
  done()
}

/** Members see how everything is; the settings are for whoever runs the proxy. */
function serveStatus (app: FastifyInstance, render: (withSettings: boolean) => string): void {
  // The console asks every few seconds.
  app.get('/_proxy/status', { config: { trail: false } }, (request, reply) => sendJson(reply, render(request.member.role === 'admin')))
}

/** Who may do this is the team's policy: admins, and members whom a rule names. */
function serveQuit (app: FastifyInstance, health: Health): void {
  app.post('/_proxy/quit', (request, reply) => {
    app.log.warn({ member: request.member.name }, 'asked to quit')
    reply.raw.once('close', () => { health.quit() })
    return sendJson(reply.code(202), '{"object":"quit","state":"draining"}')
  })
}

export default fastifyPlugin(plugHealth, { name: 'health' })
