import type { KeyLimits, Kind, MemberLimits } from './limits.ts'
import type { Rate } from './token-bucket.ts'

/**
 * What is left to an instance on its own: an equal share of everything, but never nothing, as a limit of one would otherwise shut
 * everybody out. `sentToday` is what all instances together had sent when Redis was last heard.
 */
export function shareMember (limits: MemberLimits, size: number, sentToday: number): MemberLimits {
  return {
    rate: shareRate(limits.rate, size),
    concurrency: shareCount(limits.concurrency, size),
    daily: limits.daily === null ? null : sentToday + Math.ceil(Math.max(0, limits.daily - sentToday) / size),
    longPolls: shareCount(limits.longPolls, size),
    webSockets: shareCount(limits.webSockets, size)
  }
}

/** What this instance's own connections can carry is not shared in the first place. */
export function shareKey (key: KeyLimits, size: number): KeyLimits {
  return {
    ...key,
    rate: shareRate(key.rate, size),
    concurrency: key.ofKey.concurrency ? shareCount(key.concurrency, size) : key.concurrency,
    longPolls: key.ofKey.longPolls ? shareCount(key.longPolls, size) : key.longPolls,
    webSockets: shareCount(key.webSockets, size)
  }
}

function shareRate (rate: Rate | null, size: number): Rate | null {
  return rate === null ? null : { perSecond: rate.perSecond / size, burst: Math.max(1, rate.burst / size) }
}

function shareCount (count: number | null, size: number): number | null {
  return count === null ? null : Math.max(1, Math.floor(count / size))
}

/** While Redis decides, this process keeps count of places alone; rates and budgets are counted there. */
export function leaveToRedis (limits: MemberLimits): MemberLimits {
  return { ...limits, rate: null, daily: null }
}

const caps = { request: 'concurrency', longPoll: 'longPolls', webSocket: 'webSockets' } as const

export type SharedKind = keyof typeof caps

export function isSharedKind (kind: Kind): kind is SharedKind {
  return kind !== 'own'
}

export function capOf (limits: MemberLimits, kind: SharedKind): number | null {
  return limits[caps[kind]]
}

function capOfKey (key: KeyLimits, kind: SharedKind): number | null {
  if (kind === 'webSocket') return key.webSockets
  const name = caps[kind] as 'concurrency' | 'longPolls'
  return key.ofKey[name] ? key[name] : null
}

/** Does such a request take up a place that Redis has to know of? */
export function takesPlace (limits: MemberLimits, key: KeyLimits, kind: Kind): boolean {
  if (!isSharedKind(kind)) return false
  return capOf(limits, kind) !== null || capOfKey(key, kind) !== null || (kind === 'request' && key.rate !== null)
}

/** Is there a limit that only all instances together can keep? Without one, Redis isn't asked. */
export function needsRedis (limits: MemberLimits, key: KeyLimits, kind: Kind): boolean {
  return takesPlace(limits, key, kind) || (kind !== 'own' && (limits.rate !== null || limits.daily !== null))
}
