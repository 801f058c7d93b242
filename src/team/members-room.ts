import type { FastifyInstance } from 'fastify'
import { join } from 'node:path'
import type { Settings } from '../config/table.ts'
import { isProxyError } from '../errors.ts'
import { createDoorkeeper } from './doorkeeper.ts'
import { joinFleet } from './fleet-room.ts'
import { Gate } from './gate.ts'
import { LocalLimits } from './limits-local.ts'
import type { Clock, Limits } from './limits.ts'
import { SessionFile } from './session-file.ts'
import { identifyBySession, serveSession } from './session-routes.ts'
import { signAlone, signTogether } from './session-signers.ts'
import { findStateFolder } from './state-folder.ts'
import type { KeyDefaults } from './team-file.ts'
import { createService } from './team-service.ts'
import { TeamState } from './team-state.ts'
import { findTokens } from './token.ts'
import { UsageFile } from './usage-file.ts'

const saveIntervalMs = 2000

/** After a revocation, how long rooms have to end connections politely before they are cut off. */
const politenessMs = 300

const clock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  delay (delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  }
}

/** The room with a team: members from a file, who share one key. */
export async function plugMembers (app: FastifyInstance, settings: Settings, path: string, stateFolder = findStateFolder(settings)): Promise<void> {
  const sessions = await SessionFile.open(join(stateFolder, 'console-sessions.json'))
  const fleet = app.fleet && joinFleet(app, app.fleet, clock, {
    onChanged: () => state.reload(),
    onMarks: marks => state.revoke(marks),
    onEnded: (session, expiresMs) => endSession(state, sessions, session, expiresMs)
  })
  const limits = fleet?.limits ?? new LocalLimits(clock)
  let cutOff = (): void => {}
  const state = await TeamState.start({
    path,
    keyDefaults: findKeyDefaults(settings),
    limits,
    log: app.log,
    isEnded: session => sessions.isEnded(session),
    onSweep: () => { setTimeout(() => cutOff(), politenessMs).unref() },
    onChanged: (gone, back) => { void fleet?.news.tellChanges(gone, back) }
  })
  const signer = fleet === undefined ? signAlone(sessions.key) : signTogether(app.accessKey, sessions.key)
  const doorkeeper = createDoorkeeper(state, settings.tlsClientCaFile !== undefined, request => identifyBySession(state, signer(), sessions, request))
  const gate = new Gate({ doorkeeper, limits, log: app.log, ...(fleet && { askFleet: (network, rate, done) => fleet.limits.guess(network, rate, done) }) })
  cutOff = () => gate.cutOff(state.holds)
  await keepUsage(app, limits, new UsageFile(join(stateFolder, 'team-usage.json')))
  fleet?.begin()
  app.decorate('team', createService(state, limits))
  app.health.register('team', state.report)
  app.trail.onClosed(gate.release)
  app.addHook('onRequest', gate.admit)
  await app.register(serveSession, { state, signer, file: sessions, refuse: gate.refuseToken, onEnded: (session, expiresMs) => { void fleet?.news.tellEnded(session, expiresMs) } })
  reportPublishedTokens(app, state)
  app.addHook('onClose', () => state.close())
}

/** Another instance's session of the console, which may have connections open here. */
function endSession (state: TeamState, sessions: SessionFile, session: string, expiresMs: number): void {
  if (sessions.isEnded(session)) return
  sessions.end(session, expiresMs, Date.now())
  state.sweep()
}

/** A forwarded long poll holds a connection to the API for half a minute: they must not take all of them. */
function findKeyDefaults ({ upstreamConnections, channel }: Settings): KeyDefaults {
  return { concurrency: upstreamConnections, longPolls: channel === 'off' ? Math.ceil(upstreamConnections / 2) : null }
}

/** The day's counts survive a restart; after kill -9 those of the last two seconds are forgotten. */
async function keepUsage (app: FastifyInstance, limits: Limits, file: UsageFile): Promise<void> {
  const earlier = await file.read()
  if (earlier !== undefined) limits.restore(earlier)
  let failing = false
  const save = async (): Promise<void> => {
    try {
      await file.write(limits.state())
      failing = false
    } catch (err) {
      if (!failing) app.log.warn({ err }, 'the members\' counts of the day could not be saved')
      failing = true
    }
  }
  const timer = setInterval(save, saveIntervalMs).unref()
  app.addHook('onClose', async () => {
    clearInterval(timer)
    await save()
  })
}

/** A token in a URL stands in histories and logs on the way here. The guard refused it; whose it was is for whoever runs the proxy. */
function reportPublishedTokens (app: FastifyInstance, state: TeamState): void {
  app.addHook('onError', (request, _reply, error, done) => {
    if (isProxyError(error) && error.type === 'access_key_in_url') {
      for (const token of new Set(findTokens(request.raw.url ?? ''))) {
        const member = state.roster.findOwner(token)
        if (member !== undefined) app.log.warn({ member, id: request.entry.id }, 'a member token was sent in a URL: it is compromised, rotate it (izuma-proxy team rotate NAME --grace 0s)')
      }
    }
    done()
  })
}
