import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Settings } from '../config/table.ts'
import { proxyError } from '../errors.ts'
import { serveDeviceRequests } from './device-request-routes.ts'
import type { EventLog } from './event-log.ts'
import { defaultLimits, type ChannelLimits } from './limits.ts'
import { serveListeners } from './listening-routes.ts'
import { MemoryLog } from './memory-log.ts'
import { serveNotificationPaths } from './notification-routes.ts'
import { classifyPath } from './paths.ts'
import { servePresubscriptions } from './presubscription-routes.ts'
import { passThrough, type AnswerHygiene } from './reply.ts'
import { ChannelRoom } from './room.ts'
import { FleetSharing } from './shared/sharing.ts'
import { beAlone, type Sharing } from './sharing.ts'
import { findStateFile } from './state-file.ts'
import { StateJournal, type StateMap } from './state-journal.ts'
import { describeChannel } from './status.ts'
import { serveSubscriptions } from './subscription-routes.ts'

export type ChannelSettings = Pick<Settings, 'channel' | 'channelReplay' | 'trail' | 'trailJournal' | 'websocketIdleTimeout' | 'websocketMaxMessage'>

export interface ChannelOptions {
  settings: ChannelSettings
  /** The same that app.ts hands to upstream. */
  hygiene: AnswerHygiene
  limits?: Partial<ChannelLimits>
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered by the channel room, which no other way of writing the path gets around. */
    channel?: boolean
  }
}

/** One notification channel, shared by everybody who uses the key. With `off` its paths are the API's as all others. */
async function channel (app: FastifyInstance, { settings, hygiene, limits: changed = {} }: ChannelOptions): Promise<void> {
  if (settings.channel === 'off') return
  const limits = { ...defaultLimits, ...changed }
  const journal = new StateJournal(findStateFile(settings))
  const { state, log, sharing } = await share(app, journal, settings, limits)
  const room = new ChannelRoom({
    settings,
    limits,
    state,
    log,
    sharing,
    upstream: app.upstream,
    trail: app.trail,
    team: app.team,
    logger: app.log,
    mask: data => passThrough(data, hygiene.maskStream()),
    keyFingerprint: () => app.accessKey.current()?.fingerprint,
    upgradeAnswered: status => {
      const key = app.accessKey.current()
      if (key !== undefined) app.accessKey.reportAnswer(key, status)
    }
  })
  app.addHook('onRequest', keepToOwnPaths)
  await app.register(async routes => serveRoutes(routes, room, hygiene, settings))
  app.health.register('channel', () => describeChannel(room, journal.failure))
  app.health.onDrain(() => {
    room.fanOut.end('draining')
    // The others needn't do without until the last request here has ended.
    if (sharing.isShared) room.handOver().catch((error: unknown) => app.log.error({ err: error }, 'the notification channel could not be handed over'))
  })
  app.accessKey.onChange(() => room.link.keyChanged())
  app.addHook('onReady', async () => room.start())
  // Listeners would keep the server from closing, when nobody began a drain before.
  app.addHook('preClose', async () => room.fanOut.end('draining'))
  app.addHook('onClose', async () => {
    await room.stop()
    if (sharing instanceof FleetSharing) await sharing.close()
    journal.close()
  })
}

/** State, log and the rest: of this process alone, or in common with the fleet. */
async function share (app: FastifyInstance, journal: StateJournal, { channelReplay }: ChannelSettings, limits: ChannelLimits): Promise<{ state: StateMap, log: EventLog, sharing: Sharing }> {
  if (app.fleet === undefined) {
    const log = new MemoryLog({ maxBytes: channelReplay, maxAgeMs: limits.replayMs }, Date.now().toString(36), Date.now)
    return { state: journal, log, sharing: beAlone(log) }
  }
  const sharing = new FleetSharing({ fleet: app.fleet, local: journal, replayBytes: channelReplay, limits, logger: app.log })
  await sharing.start()
  return { state: sharing.state, log: sharing.log, sharing }
}

function serveRoutes (app: FastifyInstance, room: ChannelRoom, hygiene: AnswerHygiene, settings: ChannelSettings): void {
  app.addHook('onRoute', route => { route.config = { ...route.config, channel: true } })
  // Bodies stay in the socket: they are forwarded as they are, or read by the route that needs them. Fastify would refuse
  // a Content-Type that it can't parse; what goes on is taken from the raw headers.
  app.addHook('preParsing', (request, _reply, _payload, done) => {
    delete request.raw.headers['content-type']
    done()
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => { done(null) })
  serveNotificationPaths(app, room)
  serveListeners(app, room, settings.websocketIdleTimeout)
  serveDeviceRequests(app, room, hygiene)
  serveSubscriptions(app, room, hygiene)
  servePresubscriptions(app, room, hygiene)
}

/**
 * The API may resolve `//v2/notification/callback` to what this room guards, so such a path must not reach it by way of
 * the catch-all route: a path that means one of ours and isn't written as ours is refused.
 */
function keepToOwnPaths (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  const { method, target } = request
  if (request.routeOptions.config?.channel === true || method === 'OPTIONS') return done()
  const own = classifyPath(method, target.canonicalPath)
  if (own === undefined) return done()
  if (own === 'unknown-method') return done(proxyError('method_not_allowed'))
  done(proxyError('request_target_invalid', { message: 'Write this path as the API documents it: the proxy shares what is behind it.' }))
}

export default fp(channel, { name: 'channel', dependencies: ['health', 'trail', 'access-key', 'guard', 'fleet', 'team', 'upstream'] })
