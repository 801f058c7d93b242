import type { MemberSummary, TeamService } from '../decorations.ts'
import { createCredential, findCredential } from './credential.ts'
import type { LocalLimits } from './limits-local.ts'
import { compilePolicy } from './policy.ts'
import { limitReached } from './refusals.ts'
import type { TeamState } from './team-state.ts'

/** For a member that some room remembered by name, over a restart say: it holds while the name is in the team. */
const nameOnly = { policy: compilePolicy({ role: 'member', mode: 'enforce', presets: [], allow: [], deny: ['/**'], devices: [] }), digest: '', expiresMs: Infinity, session: '' }

/** Members may be asked about who have left since: of them nothing is allowed. */
export function createService (state: TeamState, limits: LocalLimits): TeamService {
  const gone = { allowed: false, decision: 'deny no longer a member', rule: 'no longer a member' }
  return {
    judge: (member, method, path) => state.roster.find(member.name)?.policy.judge(method, path) ?? gone,
    onRevoked: (member, close) => state.revocations.watch(findCredential(member) ?? createCredential(member, nameOnly), close),
    maySeeDevice: (member, deviceId) => state.roster.find(member.name)?.policy.maySeeDevice(deviceId) ?? false,
    seesAllDevices: member => state.roster.find(member.name)?.policy.seesAllDevices ?? false,
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
