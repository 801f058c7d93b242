import { noKeyLimits } from './limits-local.ts'
import type { KeyLimits, Kind, Lease, MemberLimits } from './limits.ts'
import type { Rate } from './token-bucket.ts'

const caps = { request: 'concurrency', longPoll: 'longPolls', webSocket: 'webSockets' } as const

export type SharedKind = keyof typeof caps

/** The team's limits as they are now, and what in them only all instances together can keep. */
export class FleetRules {
  members: ReadonlyMap<string, MemberLimits> = new Map()
  key: KeyLimits = noKeyLimits

  limitsOf ({ usage }: Lease): MemberLimits {
    return this.members.get(usage.name) ?? usage.limits
  }

  /** `undefined` = the key's. */
  rateOf (member: string | undefined): Rate | null {
    return member === undefined ? this.key.rate : this.members.get(member)?.rate ?? null
  }

  capOf (lease: Lease): number | null {
    return isSharedKind(lease.kind) ? this.limitsOf(lease)[caps[lease.kind]] : null
  }

  capOfKey (kind: SharedKind): number | null {
    if (kind === 'webSocket') return this.key.webSockets
    const name = caps[kind] as 'concurrency' | 'longPolls'
    return this.key.ofKey[name] ? this.key[name] : null
  }

  /** Does it take up a place that Redis has to know of? */
  takesPlace (lease: Lease): boolean {
    const { kind } = lease
    if (!isSharedKind(kind)) return false
    return this.capOf(lease) !== null || this.capOfKey(kind) !== null || (kind === 'request' && this.key.rate !== null)
  }

  /** Is there a limit that only all instances together can keep? Without one, Redis isn't asked. */
  needsRedis (lease: Lease): boolean {
    const { rate, daily } = this.limitsOf(lease)
    return this.takesPlace(lease) || (lease.kind !== 'own' && (rate !== null || daily !== null))
  }
}

function isSharedKind (kind: Kind): kind is SharedKind {
  return kind !== 'own'
}
