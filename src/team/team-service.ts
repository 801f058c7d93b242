import type { MemberSummary, TeamService } from '../decorations.ts'
import { createCredential, findCredential } from './credential.ts'
import type { Limits } from './limits.ts'
import { compilePolicy } from './policy.ts'
import { limitReached } from './refusals.ts'
import type { TeamState } from './team-state.ts'

/** For a member that some room remembered by name, over a restart say: it holds while the name is in the team. */
const nameOnly = { policy: compilePolicy({ role: 'member', mode: 'enforce', presets: [], allow: [], deny: ['/**'], devices: [] }), digest: '', expiresMs: Infinity, session: '' }

/** Members may be asked about who have left since: of them nothing is allowed. */
export function createService (state: TeamState, limits: Limits): TeamService {
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

function summarize (state: TeamState, limits: Limits, name: string): MemberSummary {
  const usage = limits.usage(name)
  const { lastSeenMs, sentToday, refusedToday, limits: { daily, concurrency } } = usage
  return {
    name,
    role: state.roster.find(name)?.role ?? 'member',
    lastSeen: lastSeenMs === 0 ? null : new Date(lastSeenMs).toISOString(),
    requestsToday: sentToday,
    refusedToday,
    daily,
    open: limits.openOf(usage),
    concurrency
  }
}
