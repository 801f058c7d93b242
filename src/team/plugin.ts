import type { FastifyInstance, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { join } from 'node:path'
import type { Settings } from '../config/table.ts'
import type { Member, MemberSummary, TeamService } from '../decorations.ts'
import { isProxyError } from '../errors.ts'
import { createCredential, findCredential, type Credential } from './credential.ts'
import { Gate, type Doorkeeper } from './gate.ts'
import { LocalLimits } from './limits-local.ts'
import type { Clock } from './limits.ts'
import { createLocal } from './local-member.ts'
import { isOwnPath } from './own-paths.ts'
import { compilePolicy } from './policy.ts'
import { findCommonName, findToken } from './presented-token.ts'
import { limitReached } from './refusals.ts'
import { SessionSigner } from './session.ts'
import { SessionFile } from './session-file.ts'
import { identifyBySession, serveLocalSession, serveSession } from './session-routes.ts'
import { findStateFolder } from './state-folder.ts'
import { TeamState } from './team-state.ts'
import { findTokens } from './token.ts'
import { UsageFile } from './usage-file.ts'

export interface TeamOptions {
  settings: Settings
  /** For what must outlive the process. Default: beside the trail. */
  stateFolder?: string
}

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

async function plugTeam (app: FastifyInstance, { settings, stateFolder = findStateFolder(settings) }: TeamOptions): Promise<void> {
  app.decorateRequest('member', null as unknown as Member)
  if (settings.teamFile === undefined) return plugLocal(app, createLocal(settings.localDeny))
  const limits = new LocalLimits(clock)
  const sessions = await SessionFile.open(join(stateFolder, 'console-sessions.json'))
  let cutOff = (): void => {}
  const state = await TeamState.start({
    path: settings.teamFile,
    keyDefaults: { concurrency: settings.upstreamConnections, longPolls: settings.channel === 'off' ? Math.ceil(settings.upstreamConnections / 2) : null },
    limits,
    log: app.log,
    isEnded: session => sessions.isEnded(session),
    onSweep: () => { setTimeout(() => cutOff(), politenessMs).unref() }
  })
  const signer = new SessionSigner(sessions.key)
  const doorkeeper = createDoorkeeper(state, settings.tlsClientCaFile !== undefined, request => identifyBySession(state, signer, sessions, request))
  const gate = new Gate({ doorkeeper, limits, limited: true, log: app.log })
  cutOff = () => gate.cutOff(state.holds)
  await keepUsage(app, limits, new UsageFile(join(stateFolder, 'team-usage.json')))
  app.decorate('team', createService(state, limits))
  app.health.register('team', state.report)
  app.trail.onClosed(gate.release)
  app.addHook('onRequest', gate.admit)
  await app.register(serveSession, { state, signer, file: sessions, refuse: gate.refuseToken })
  reportPublishedTokens(app, state)
  app.addHook('onClose', () => state.close())
}

async function plugLocal (app: FastifyInstance, local: Credential): Promise<void> {
  const gate = new Gate({ doorkeeper: { identify: () => local, showsToken: () => false }, limits: new LocalLimits(clock), limited: false, log: app.log })
  const summary: MemberSummary = { ...local.member, lastSeen: null, requestsToday: 0, refusedToday: 0, daily: null, open: 0, concurrency: null }
  app.decorate('team', {
    judge: (_member, method, path) => local.policy.judge(method, path),
    onRevoked: () => () => {},
    maySeeDevice: () => true,
    list: () => [summary],
    acquire: (_member, done) => { done(undefined, () => {}) },
    reload: () => {}
  } satisfies TeamService)
  app.health.register('team', () => ({ state: 'ok', ready: true, details: { members: 'local only' } }))
  app.addHook('onRequest', gate.admit)
  await app.register(serveLocalSession)
}

/** Certificate before token, token before session; two that disagree are nobody. */
function createDoorkeeper (state: TeamState, hasCertificates: boolean, bySession: (request: FastifyRequest) => Credential | undefined): Doorkeeper {
  function identify (request: FastifyRequest): Credential | undefined {
    const { raw, target } = request
    const token = findToken(raw.headers)
    const byToken = token === undefined ? undefined : state.roster.findByToken(token, Date.now())
    if (!hasCertificates) return token === undefined && isOwnPath(target.canonicalPath) ? bySession(request) : byToken
    const byCertificate = state.roster.findByCertificate(findCommonName(raw))
    if (token === undefined) return byCertificate
    return byToken?.member.name === byCertificate?.member.name ? byToken : undefined
  }
  return { identify, showsToken: ({ raw }) => findToken(raw.headers) !== undefined }
}

/** For a member that some room remembered by name, over a restart say: it holds while the name is in the team. */
const nameOnly = { policy: compilePolicy({ role: 'member', mode: 'enforce', presets: [], allow: [], deny: ['/**'], devices: [] }), digest: '', expiresMs: Infinity, session: '' }

/** Members may be asked about who have left since: of them nothing is allowed. */
function createService (state: TeamState, limits: LocalLimits): TeamService {
  const gone = { allowed: false, decision: 'deny no longer a member', rule: 'no longer a member' }
  return {
    judge: (member, method, path) => state.roster.find(member.name)?.policy.judge(method, path) ?? gone,
    onRevoked: (member, close) => state.revocations.watch(findCredential(member) ?? createCredential(member, nameOnly), close),
    maySeeDevice: (member, deviceId) => state.roster.find(member.name)?.policy.maySeeDevice(deviceId) ?? false,
    list: () => state.roster.names().map(name => summarize(state, limits, name)),
    acquire (member, done) {
      const lease = limits.open(limits.usage(member.name), 'request')
      const release = (sent: boolean) => limits.release(lease, sent)
      limits.acquire(lease, refusal => done(refusal && limitReached(refusal), release))
    },
    reload: () => state.reload()
  }
}

function summarize (state: TeamState, limits: LocalLimits, name: string): MemberSummary {
  const { lastSeenMs, sentToday, refusedToday, open, limits: { daily, concurrency } } = limits.usage(name)
  return {
    name,
    role: state.roster.find(name)?.role ?? 'member',
    lastSeen: lastSeenMs === 0 ? null : new Date(lastSeenMs).toISOString(),
    requestsToday: sentToday,
    refusedToday,
    daily,
    open: open.request + open.longPoll + open.webSocket + open.own,
    concurrency
  }
}

/** The day's counts survive a restart; after kill -9 those of the last two seconds are forgotten. */
async function keepUsage (app: FastifyInstance, limits: LocalLimits, file: UsageFile): Promise<void> {
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

export default fastifyPlugin(plugTeam, { name: 'team', fastify: '5.x', dependencies: ['health', 'trail', 'guard'] })
