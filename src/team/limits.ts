import type { Bucket, Rate } from './token-bucket.ts'

/** What a request takes up: an ordinary one, a long poll, a WebSocket or event stream, or a page of the proxy's own. */
export type Kind = 'request' | 'longPoll' | 'webSocket' | 'own'

/** `null` = no limit. */
export interface MemberLimits {
  rate: Rate | null
  /** Ordinary requests open at the same time. */
  concurrency: number | null
  /** Requests sent to the API in a day (UTC). */
  daily: number | null
  longPolls: number | null
  /** WebSockets and event streams. */
  webSockets: number | null
}

/** What all members share, because they share one key. `null` = no limit. */
export interface KeyLimits {
  rate: Rate | null
  concurrency: number | null
  longPolls: number | null
  /** Is `concurrency`, `longPolls` what the team file says of the key? Otherwise it is what this instance's connections can carry. */
  ofKey: { concurrency: boolean, longPolls: boolean }
  webSockets: number | null
  /** How long a request may wait for its turn. */
  maxWaitMs: number
  /** How many may wait at the same time, all members together. */
  maxWaiting: number
}

export interface Refusal {
  type: 'rate_limited' | 'concurrency_limited' | 'budget_spent'
  message: string
  /** Whole seconds, at least 1. */
  retryAfter: number
}

/** One member's account, kept across re-reads of the team file. */
export interface Usage {
  readonly name: string
  limits: MemberLimits
  bucket: Bucket
  /** What is open now, by kind; those that wait for their turn are not. */
  open: Record<Kind, number>
  /** Requests counted against `daily`. */
  sentToday: number
  refusedToday: number
  /** Wall clock, milliseconds; 0 = never. */
  lastSeenMs: number
  /** Waiting for the key's shared limit, oldest first. */
  waiting: Lease[]
}

/** One request's hold on the limits. Made by `open`, so that it can be released whatever state it is in. */
export interface Lease {
  readonly usage: Usage
  readonly kind: Kind
  state: 'new' | 'waiting' | 'held' | 'ended'
  /** The day it was counted in, `''` if it was not. */
  day: string
  /** Monotonic milliseconds: when waiting ends. */
  deadlineMs: number
  /** Whom to tell when it is its turn, or that it won't be. */
  done: ((refusal?: Refusal) => void) | undefined
}

export interface Pressure {
  open: number
  waiting: number
  /** Of an instance among several: whose limits are kept, for people. */
  limits?: string
  /** 1 = kept with the others. */
  shared?: 0 | 1
}

/** What outlives the process. Names and counts, nothing secret. */
export interface UsageState {
  day: string
  members: Record<string, { sent: number, refused: number, lastSeenMs: number }>
  /** How many shared the limits: whoever starts while Redis is away takes no more than its share. */
  instances?: number
  /** Its session with Redis, so that what it held there is not kept for it. */
  session?: string
}

/**
 * The limits of all members and the key: `LocalLimits` of one process, `FleetLimits` of several that share a Redis, which is why
 * `acquire` answers by a callback (the local one calls it at once unless the request has to wait).
 */
export interface Limits {
  configure (members: ReadonlyMap<string, MemberLimits>, key: KeyLimits): void
  usage (member: string): Usage
  open (usage: Usage, kind: Kind): Lease
  /** Calls back once, with a refusal or without. Not at all if the lease is released while it waits. */
  acquire (lease: Lease, done: (refusal?: Refusal) => void): void
  /** Ends the lease. `sent` = the API saw the request; otherwise the day's budget gets it back. */
  release (lease: Lease, sent: boolean): void
  /** Counts a refusal of any room's against the member, for the console. */
  countRefusal (usage: Usage): void
  /** What a member has open now, on whichever instance. */
  openOf (usage: Usage): number
  /** How busy the shared key is, for `status`. */
  pressure (): Pressure
  state (): UsageState
  /** Takes up what an earlier process counted. */
  restore (state: UsageState): void
}

/** Time as the limits see it, so that tests can simulate it. */
export interface Clock {
  /** Monotonic milliseconds. */
  nowMs (): number
  /** Milliseconds since 1970, for the day. */
  wallMs (): number
  /** Calls back later. Returns a function that cancels. */
  delay (delayMs: number, callback: () => void): () => void
}
