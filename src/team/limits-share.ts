import type { KeyLimits, MemberLimits } from './limits.ts'
import { makeBucket, type Bucket, type Rate } from './token-bucket.ts'

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

/** While Redis decides, this process keeps count of places alone; rates and budgets are counted there. */
export function leaveToRedis (limits: MemberLimits): MemberLimits {
  return { ...limits, rate: null, daily: null }
}

function shareRate (rate: Rate | null, size: number): Rate | null {
  return rate === null ? null : { perSecond: rate.perSecond / size, burst: Math.max(1, rate.burst / size) }
}

function shareCount (count: number | null, size: number): number | null {
  return count === null ? null : Math.max(1, Math.floor(count / size))
}

/** A share of a bucket as an instance took it along. */
export interface TakenShare {
  tokens: number
  /** What is added until the others notice, and for how long it is, milliseconds. */
  perMs: number
  advanceMs: number
}

/** @param left in the whole bucket. Less than nothing if more was taken by instances on their own than it held */
export function takeShare (left: number, { perSecond, burst }: Rate, size: number, noticedMs: number): TakenShare {
  const tokens = Math.min(burst, left) / size
  const perMs = perSecond / size / 1000
  return { tokens, perMs, advanceMs: Math.min(noticedMs, (burst / size - tokens) / perMs) }
}

/**
 * The bucket of an instance that is on its own since `sinceMs`. Until the others notice, they go on with all of the rate. So it gets
 * no more than its share of the burst in that time, and only from then on its share of the rate: should it be the only one that is
 * cut off, all together exceed the limit by that share of the burst.
 */
export function fillShare ({ tokens, advanceMs }: TakenShare, sinceMs: number, noticedMs: number): Bucket {
  return { ...makeBucket(tokens, sinceMs), pauseFromMs: sinceMs + advanceMs, pauseUntilMs: sinceMs + noticedMs }
}

/** What to put back, or to take out if it is less than nothing. What was added before the others noticed was theirs too. */
export function balanceShare ({ tokens, perMs, advanceMs }: TakenShare, tokensNow: number, aloneMs: number): number {
  return tokensNow - tokens - perMs * Math.min(aloneMs, advanceMs)
}
