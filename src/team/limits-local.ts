import { FairQueue } from './fair-queue.ts'
import { allOfKindOpen, budgetSpent, rateReached, tooManyOpen } from './limit-refusals.ts'
import type { Clock, KeyLimits, Kind, Lease, Limits, MemberLimits, Pressure, Refusal, Usage, UsageState } from './limits.ts'
import { countTokens, fillBucket, makeBucket, returnToken, takeToken, type Bucket, type Rate } from './token-bucket.ts'

export const noMemberLimits: MemberLimits = { rate: null, concurrency: null, daily: null, longPolls: null, webSockets: null }
export const noKeyLimits: KeyLimits = { rate: null, concurrency: null, longPolls: null, webSockets: null, ofKey: { concurrency: false, longPolls: false }, maxWaitMs: 0, maxWaiting: 0 }

const dayMs = 86_400_000

/** The bucket that a new limit begins with; `rate` is that limit. `undefined` = the key's. */
export type FirstBucket = (member: string | undefined, rate: Rate, nowMs: number) => Bucket

const full: FirstBucket = (_member, rate, nowMs) => fillBucket(rate, nowMs)

/** The limits of one process, in memory. */
export class LocalLimits implements Limits {
  readonly #clock: Clock
  readonly #usages = new Map<string, Usage>()
  #members: ReadonlyMap<string, MemberLimits> = new Map()
  #key = noKeyLimits
  #firstBucket = full
  readonly #queue: FairQueue
  readonly #openAll: Record<Kind, number> = { request: 0, longPoll: 0, webSocket: 0, own: 0 }
  #day: string
  #dayEndsMs = 0

  constructor (clock: Clock) {
    this.#clock = clock
    this.#day = ''
    this.#queue = new FairQueue(noKeyLimits, clock, this.#settle)
    this.#turnDay()
  }

  configure (members: ReadonlyMap<string, MemberLimits>, key: KeyLimits, firstBucket = full): void {
    this.#members = members
    this.#firstBucket = firstBucket
    for (const usage of this.#usages.values()) this.#adopt(usage)
    this.#key = key
    this.#queue.configure(key, firstBucket)
  }

  get day (): string { return this.#day }
  get usages (): Iterable<Usage> { return this.#usages.values() }

  usage (member: string): Usage {
    let usage = this.#usages.get(member)
    if (usage === undefined) this.#usages.set(member, usage = this.#createUsage(member))
    return usage
  }

  open (usage: Usage, kind: Kind): Lease {
    return { usage, kind, state: 'new', day: '', deadlineMs: 0, done: undefined }
  }

  acquire (lease: Lease, done: (refusal?: Refusal) => void): void {
    this.#turnDay()
    const refusal = lease.kind === 'own' ? this.#refuseOpen(lease) : this.#refuseOpen(lease) ?? this.#refuseDaily(lease.usage) ?? this.#refuseRate(lease.usage)
    if (refusal !== undefined) return this.#refuse(lease, done, refusal)
    if (lease.kind === 'own') return this.#hold(lease, done)
    lease.day = this.#day
    lease.usage.sentToday++
    if (lease.kind !== 'request') return this.#hold(lease, done)
    lease.done = done
    this.#queue.enter(lease)
  }

  release (lease: Lease, sent: boolean): void {
    const { state, usage, kind } = lease
    if (state === 'ended') return
    lease.state = 'ended'
    if (!sent) this.#uncount(lease)
    if (state === 'waiting') this.#queue.cancel(lease)
    if (state !== 'held') return
    usage.open[kind]--
    if (kind === 'request') this.#queue.leave()
    else this.#openAll[kind]--
  }

  openOf ({ open }: Usage): number {
    return open.request + open.longPoll + open.webSocket + open.own
  }

  /** Ends the waiting of all who wait here for the key, as if they had not asked. */
  withdraw (): Lease[] {
    const leases = [...this.#usages.values()].flatMap(({ waiting }) => [...waiting])
    for (const lease of leases) {
      this.#queue.cancel(lease)
      this.#unspend(lease)
      lease.state = 'new'
      lease.day = ''
    }
    return leases
  }

  /** In the bucket of a member, or of the key (`undefined`); `undefined` where there is no rate. */
  tokensOf (member: string | undefined): number | undefined {
    if (member === undefined) return this.#queue.tokens
    const { limits: { rate }, bucket } = this.usage(member)
    return rate === null ? undefined : countTokens(bucket, rate, this.#clock.nowMs())
  }

  pressure (): Pressure {
    return { open: this.#queue.open, waiting: this.#queue.waiting }
  }

  countRefusal (usage: Usage): void {
    this.#turnDay()
    usage.refusedToday++
  }

  state (): UsageState {
    this.#turnDay()
    const members: UsageState['members'] = {}
    for (const { name, sentToday, refusedToday, lastSeenMs } of this.#usages.values()) {
      // Whoever left keeps the day's count, lest leaving and coming back be a way to a second budget.
      if (lastSeenMs > 0 && (sentToday > 0 || this.#members.has(name))) members[name] = { sent: sentToday, refused: refusedToday, lastSeenMs }
    }
    return { day: this.#day, members }
  }

  /** Its day may be over, its members' last requests are not. */
  restore ({ day, members }: UsageState): void {
    for (const [name, { sent, refused, lastSeenMs }] of Object.entries(members)) {
      const usage = this.usage(name)
      usage.lastSeenMs = lastSeenMs
      if (day !== this.#day) continue
      usage.sentToday = sent
      usage.refusedToday = refused
    }
  }

  #createUsage (name: string): Usage {
    const limits = this.#members.get(name) ?? noMemberLimits
    const nowMs = this.#clock.nowMs()
    return {
      name,
      limits,
      bucket: limits.rate === null ? makeBucket(0, nowMs) : this.#firstBucket(name, limits.rate, nowMs),
      open: { request: 0, longPoll: 0, webSocket: 0, own: 0 },
      sentToday: 0,
      refusedToday: 0,
      lastSeenMs: 0,
      waiting: []
    }
  }

  /** New limits after a re-read. A bucket is filled when a limit is new, not whenever somebody touches the file. */
  #adopt (usage: Usage): void {
    const limits = this.#members.get(usage.name) ?? noMemberLimits
    if (usage.limits.rate === null && limits.rate !== null) usage.bucket = this.#firstBucket(usage.name, limits.rate, this.#clock.nowMs())
    usage.limits = limits
  }

  #hold (lease: Lease, done: (refusal?: Refusal) => void): void {
    lease.state = 'held'
    lease.usage.open[lease.kind]++
    this.#openAll[lease.kind]++
    done()
  }

  #refuse (lease: Lease, done: (refusal?: Refusal) => void, refusal: Refusal): void {
    lease.state = 'ended'
    done(refusal)
  }

  /** Its turn has come, or it waited in vain: then what was counted ahead is given back. */
  readonly #settle = (lease: Lease, refusal?: Refusal): void => {
    const { done } = lease
    lease.done = undefined
    if (refusal !== undefined) this.#unspend(lease)
    done?.(refusal)
  }

  #unspend (lease: Lease): void {
    const { usage } = lease
    this.#uncount(lease)
    if (usage.limits.rate !== null) returnToken(usage.bucket, usage.limits.rate)
  }

  #uncount (lease: Lease): void {
    if (lease.day !== '' && lease.day === this.#day && lease.usage.sentToday > 0) lease.usage.sentToday--
  }

  #refuseOpen ({ usage, kind }: Lease): Refusal | undefined {
    const cap = caps[kind]
    const most = usage.limits[cap]
    const open = kind === 'request' ? usage.open.request + usage.waiting.length : usage.open[kind]
    if (most !== null && open >= most) return tooManyOpen(kind, most)
    // Ordinary requests queue for the key's places; the proxy's own pages don't take any.
    if (cap === 'concurrency') return undefined
    const mostOfAll = this.#key[cap]
    return mostOfAll !== null && this.#openAll[kind] >= mostOfAll ? allOfKindOpen(kind, mostOfAll) : undefined
  }

  #refuseDaily ({ limits: { daily }, sentToday }: Usage): Refusal | undefined {
    if (daily === null || sentToday < daily) return undefined
    return budgetSpent(daily, this.#dayEndsMs - this.#clock.wallMs())
  }

  #refuseRate ({ limits: { rate }, bucket }: Usage): Refusal | undefined {
    if (rate === null) return undefined
    const waitMs = takeToken(bucket, rate, this.#clock.nowMs())
    return waitMs === 0 ? undefined : rateReached(rate, waitMs)
  }

  /** Starts a new day's counts. A clock that is set back doesn't give anybody a second day. */
  #turnDay (): void {
    const wallMs = this.#clock.wallMs()
    if (wallMs >= this.#dayEndsMs) this.#beginDay(wallMs)
  }

  /** Takes over the day of a clock that counts more than this machine's. Around midnight they may differ by a moment. */
  adoptDay (wallMs: number): void {
    const sinceMidnightMs = wallMs % dayMs
    if (Math.min(sinceMidnightMs, dayMs - sinceMidnightMs) < 5000) return
    if (new Date(wallMs).toISOString().slice(0, 10) !== this.#day) this.#beginDay(wallMs)
  }

  #beginDay (wallMs: number): void {
    this.#day = new Date(wallMs).toISOString().slice(0, 10)
    this.#dayEndsMs = (Math.floor(wallMs / dayMs) + 1) * dayMs
    for (const usage of this.#usages.values()) {
      usage.sentToday = 0
      usage.refusedToday = 0
    }
  }
}

const caps = { request: 'concurrency', own: 'concurrency', longPoll: 'longPolls', webSocket: 'webSockets' } as const
