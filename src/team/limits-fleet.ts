import type { FleetService } from '../decorations.ts'
import { InFlight, type Placed } from '../in-flight.ts'
import type { FleetUsage } from './fleet-usage.ts'
import { allOfKindOpen, budgetSpent, keyBusy, rateReached, tooManyOpen } from './limit-refusals.ts'
import { noKeyLimits, type LocalLimits } from './limits-local.ts'
import { LimitsSession, type Verdict } from './limits-session.ts'
import { capOf, isSharedKind, leaveToRedis, needsRedis, shareKey, shareMember, takesPlace, type SharedKind } from './limits-share.ts'
import type { Clock, KeyLimits, Kind, Lease, Limits, MemberLimits, Pressure, Refusal, Usage, UsageState } from './limits.ts'
import { Questions } from './questions.ts'
import { countTokens, type Bucket, type Rate } from './token-bucket.ts'

export interface FleetLease extends Lease, Placed {
  id: number
  /** `left`: its client went before Redis answered. */
  stage: 'here' | 'asked' | 'waiting' | 'left'
  answer: (refusal?: Refusal) => void
  /** Where Redis counts its place. */
  heldIn: LimitsSession | undefined
  /** Did Redis count it against the day's budget? */
  counted: boolean
  stopWaiting: (() => void) | undefined
}

/** A wrong token that is counted together. */
interface Guess { guessed: (waitMs: number | undefined) => void }

interface FleetLimitsOptions {
  clock: Clock
  fleet: Pick<FleetService, 'redis' | 'key' | 'instance' | 'up' | 'size'>
  local: LocalLimits
  usage: FleetUsage
  /** Would grants by other instances be heard? */
  isListening: () => boolean
  /** Called when limits begin and cease to be shared. */
  onChange: (shared: boolean, reason: string) => void
}

/** Once refused, a member's requests are refused here for up to this long without asking again. */
const mostRefusedHereMs = 1000

/**
 * The limits of several instances. Redis decides about what only all together can know (`limits-script.ts`); what this process holds
 * is counted in `LocalLimits` too, which decides alone, with this instance's share, while there is no session with Redis.
 */
export class FleetLimits implements Limits {
  readonly #options: FleetLimitsOptions
  readonly #local: LocalLimits
  #members: ReadonlyMap<string, MemberLimits> = new Map()
  #key: KeyLimits = noKeyLimits
  #session: LimitsSession | undefined
  #earlierSession: string | undefined
  #joining = false
  #sharedDay = ''
  #earlierSize = 1
  #beats = 0
  /** Why limits are not shared, in a word. */
  #failure = 'not joined yet'
  readonly #leases = new InFlight<FleetLease>()
  readonly #questions = new Questions<FleetLease | Guess>()
  #waiting = 0
  /** What members had left in their buckets when last heard. */
  readonly #left = new Map<string, Bucket>()
  /** Tokens taken without Redis, by member; `*` = of the key. */
  #taken = new Map<string, number>()
  readonly #refusedUntil = new Map<string, { untilMs: number, refusal: Refusal }>()

  constructor (options: FleetLimitsOptions) {
    this.#options = options
    this.#local = options.local
  }

  get shared (): boolean { return this.#session?.joined === true }

  configure (members: ReadonlyMap<string, MemberLimits>, key: KeyLimits): void {
    this.#members = members
    this.#key = key
    this.#refusedUntil.clear()
    if (!this.shared) return this.#decideAlone()
    this.#decideTogether()
    this.#correctPlaces()
  }

  usage (member: string): Usage {
    return this.#local.usage(member)
  }

  open (usage: Usage, kind: Kind): FleetLease {
    return { ...this.#local.open(usage, kind), id: 0, stage: 'here', answer: () => {}, place: -1, heldIn: undefined, counted: false, stopWaiting: undefined }
  }

  acquire (lease: FleetLease, done: (refusal?: Refusal) => void): void {
    lease.answer = done
    this.#leases.add(lease)
    if (this.shared && needsRedis(this.#limitsOf(lease), this.#key, lease.kind)) this.#ask(lease)
    else this.#takeHere(lease)
  }

  release (lease: FleetLease, sent: boolean): void {
    if (lease.state === 'ended') return
    this.#leases.delete(lease)
    if (lease.stage === 'here') {
      this.#leavePlace(lease)
      return this.#local.release(lease, sent)
    }
    lease.state = 'ended'
    if (lease.stage === 'waiting') this.#cancel(lease, false)
    lease.stage = 'left'
  }

  countRefusal (usage: Usage): void { this.#local.countRefusal(usage) }
  openOf (usage: Usage): number { return this.#local.openOf(usage) + this.#options.usage.openElsewhere(usage.name) }

  state (): UsageState {
    return { ...this.#local.state(), instances: this.#size }
  }

  restore (state: UsageState): void {
    this.#local.restore(state)
    this.#earlierSize = state.instances ?? 1
    if (!this.shared) this.#decideAlone()
    this.#options.usage.adoptRestored()
  }

  pressure (): Pressure {
    const { open, waiting } = this.ownPressure()
    const { usage } = this.#options
    return { open: open + usage.openElsewhere('*'), waiting: waiting + usage.waitingElsewhere, shared: this.shared ? 1 : 0, limits: this.shared ? 'shared with the other instances' : `this instance's share, one of ${this.#size} (${this.#failure})` }
  }

  ownPressure (): { open: number, waiting: number } {
    const { open, waiting } = this.#local.pressure()
    return { open, waiting: waiting + this.#waiting }
  }

  /** A wrong token from a network: calls back with ms to wait, 0 = not limited; `undefined` = Redis can't say. */
  guess (network: string, rate: Rate, done: (waitMs: number | undefined) => void): void {
    if (!this.shared) return done(undefined)
    this.#session?.ask('w', this.#questions.add({ guessed: done }), network, rate.perSecond, rate.burst)
  }

  /** Every second: a sign of life, or another try to begin a session. */
  beat (): void {
    if (this.#session !== undefined) return this.#giveSignOfLife(this.#session)
    // A day's share is of what was left of that day.
    if (this.#local.day !== this.#sharedDay) this.#decideAlone()
    const { fleet, isListening } = this.#options
    if (fleet.up && isListening()) void this.#join()
  }

  #giveSignOfLife (session: LimitsSession): void {
    session.beat()
    if (++this.#beats % 60 === 0) session.tell('e')
  }

  /** Redis asks to be told anew, or grants may have been missed. */
  restart (): void {
    this.#session?.end()
    this.#lose('not listening')
  }

  /** `ok` or `busy` of requests that waited, from another instance's script: the session, then id and verdict of each. */
  hear (message: string): void {
    const [session, ...words] = message.split(' ')
    if (session !== this.#session?.id) return
    for (let index = 0; index < words.length; index += 2) this.#decide(Number(words[index]), words[index + 1] as Verdict, -1)
  }

  async leave (): Promise<void> {
    await this.#session?.leave()
    this.#session = undefined
  }

  #limitsOf ({ usage }: Lease): MemberLimits {
    return this.#members.get(usage.name) ?? usage.limits
  }

  #ask (lease: FleetLease): void {
    const { usage: { name }, kind } = lease
    const refused = this.#refusedUntil.get(name)
    if (refused !== undefined && refused.untilMs > this.#options.clock.nowMs()) return this.#refuse(lease, refused.refusal)
    const { rate, daily } = this.#limitsOf(lease)
    lease.id = this.#questions.add(lease)
    lease.stage = 'asked'
    this.#session?.ask('a', lease.id, kind, name, rate?.perSecond ?? -1, rate?.burst ?? -1, (isSharedKind(kind) ? capOf(this.#limitsOf(lease), kind) : null) ?? -1, daily ?? -1)
  }

  #decide (id: number, verdict: Verdict, figure: number): void {
    const lease = this.#questions.find(id)
    this.#questions.delete(id)
    if (lease === undefined) return
    if ('guessed' in lease) return lease.guessed(Math.max(0, figure))
    this.#stopWaiting(lease)
    if (verdict !== 'ok') return this.#explain(lease, verdict, figure)
    const { rate, daily } = this.#limitsOf(lease)
    lease.counted = daily !== null
    if (takesPlace(this.#limitsOf(lease), this.#key, lease.kind)) lease.heldIn = this.#session
    if (rate !== null && figure >= 0) this.#left.set(lease.usage.name, { tokens: figure, atMs: this.#options.clock.nowMs() })
    if (lease.stage === 'left') this.#giveUp(lease)
    else this.#takeHere(lease)
  }

  #stopWaiting (lease: FleetLease): void {
    if (lease.stopWaiting === undefined) return
    lease.stopWaiting()
    lease.stopWaiting = undefined
    this.#waiting--
  }

  /** In this process, which knows its own places, and while alone its share of the rest. */
  #takeHere (lease: FleetLease): void {
    lease.stage = 'here'
    lease.state = 'new'
    this.#local.acquire(lease, refusal => {
      if (refusal === undefined) {
        this.#note(lease)
        return lease.answer()
      }
      this.#leases.delete(lease)
      this.#giveUp(lease)
      lease.answer(refusal)
    })
  }

  #note (lease: FleetLease): void {
    if (lease.counted) this.#options.usage.countedThere(lease.usage)
    if (!this.shared && lease.kind !== 'own') {
      if (this.#limitsOf(lease).rate !== null) this.#countTaken(lease.usage.name)
      if (this.#key.rate !== null && lease.kind === 'request') this.#countTaken('*')
    }
    this.#takePlace(lease)
  }

  #countTaken (name: string): void {
    this.#taken.set(name, (this.#taken.get(name) ?? 0) + 1)
  }

  /** Tells Redis of a place that was taken without asking. */
  #takePlace (lease: FleetLease): void {
    const session = this.#session
    if (session === undefined || lease.heldIn === session || !takesPlace(this.#limitsOf(lease), this.#key, lease.kind)) return
    lease.heldIn = session
    session.tell('h', lease.kind, lease.usage.name, 1)
  }

  #leavePlace (lease: FleetLease): void {
    if (lease.heldIn !== undefined && lease.heldIn === this.#session) lease.heldIn.tell('h', lease.kind, lease.usage.name, -1)
    lease.heldIn = undefined
  }

  /** Redis let it in, and it doesn't go on. */
  #giveUp (lease: FleetLease): void {
    this.#leavePlace(lease)
    if (lease.counted) this.#session?.tell('g', lease.usage.name, -1, -1, 0)
    lease.counted = false
  }

  #cancel (lease: FleetLease, withToken: boolean): void {
    const { id, usage: { name } } = lease
    const { rate, daily } = this.#limitsOf(lease)
    this.#questions.delete(id)
    this.#stopWaiting(lease)
    this.#session?.tell('c', id, name)
    this.#session?.tell('g', name, withToken ? rate?.perSecond ?? -1 : -1, rate?.burst ?? -1, daily ?? -1)
  }

  #refuse (lease: FleetLease, refusal: Refusal): void {
    this.#leases.delete(lease)
    const hasLeft = lease.stage === 'left'
    lease.state = 'ended'
    if (!hasLeft) lease.answer(refusal)
  }

  #explain (lease: FleetLease, verdict: Exclude<Verdict, 'ok'>, figure: number): void {
    const { rate, daily } = this.#limitsOf(lease)
    const kind = lease.kind as SharedKind
    if (verdict === 'open') return this.#refuse(lease, tooManyOpen(kind, capOf(this.#limitsOf(lease), kind) ?? 0))
    if (verdict === 'all') return this.#refuse(lease, allOfKindOpen(kind, (kind === 'longPoll' ? this.#key.longPolls : this.#key.webSockets) ?? 0))
    if (verdict === 'busy') return this.#refuseBusy(lease)
    const refusal = verdict === 'daily' ? budgetSpent(daily ?? 0, figure) : rateReached(rate ?? { perSecond: 1, burst: 1 }, figure)
    this.#refusedUntil.set(lease.usage.name, { untilMs: this.#options.clock.nowMs() + Math.min(figure, mostRefusedHereMs), refusal })
    this.#refuse(lease, refusal)
  }

  /** It waited for the key in vain; what was counted ahead is given back. */
  #refuseBusy (lease: FleetLease): void {
    const { rate, daily } = this.#limitsOf(lease)
    this.#session?.tell('g', lease.usage.name, rate?.perSecond ?? -1, rate?.burst ?? -1, daily ?? -1)
    this.#refuse(lease, this.#busy())
  }

  #busy (): Refusal {
    return keyBusy(this.#key, this.#session?.tokensShort !== true, this.pressure().waiting)
  }

  /** What was asked and has no verdict waits. */
  #beginWaiting (ids: number[]): void {
    for (const id of ids) {
      const lease = this.#questions.find(id)
      if (lease === undefined || 'guessed' in lease) continue
      if (lease.stage === 'left') this.#cancel(lease, false)
      else this.#wait(lease)
    }
  }

  #wait (lease: FleetLease): void {
    const nowMs = this.#options.clock.nowMs()
    lease.stage = 'waiting'
    if (lease.deadlineMs === 0) lease.deadlineMs = nowMs + this.#key.maxWaitMs
    this.#waiting++
    lease.stopWaiting = this.#options.clock.delay(Math.max(1, lease.deadlineMs - nowMs), () => {
      this.#cancel(lease, true)
      this.#refuse(lease, this.#busy())
    })
  }

  #decideTogether (): void {
    this.#local.configure(new Map([...this.#members].map(([name, limits]) => [name, leaveToRedis(limits)])), { ...this.#key, rate: null })
  }

  /** Before Redis was heard for the first time, as many as there were when this instance last ran. */
  get #size (): number {
    const { size } = this.#options.fleet
    return this.#earlierSession === undefined ? Math.max(size, this.#earlierSize) : size
  }

  #decideAlone (): void {
    const size = this.#size
    this.#sharedDay = this.#local.day
    const members = [...this.#members].map(([name, limits]): [string, MemberLimits] => [name, shareMember(limits, size, this.#local.usage(name).sentToday)])
    this.#local.configure(new Map(members), shareKey(this.#key, size), member => this.#firstTokens(member, size))
  }

  /** An equal share of what was left when last heard; whoever wasn't heard of may have everything. All instances together: one burst. */
  #firstTokens (member: string | undefined, size: number): number {
    const rate = member === undefined ? this.#key.rate : this.#members.get(member)?.rate ?? null
    if (rate === null) return 0
    const known = member === undefined ? undefined : this.#left.get(member)
    return (known === undefined ? rate.burst : countTokens(known, rate, this.#options.clock.nowMs())) / size
  }

  async #join (): Promise<void> {
    if (this.#joining) return
    this.#joining = true
    // First the day's counts: a Redis that lost them gets them back before anybody is let in on them.
    if (await this.#options.usage.exchange()) await this.#beginSession()
    this.#joining = false
  }

  async #beginSession (): Promise<void> {
    const session = new LimitsSession({
      fleet: this.#options.fleet,
      key: () => this.#key,
      onVerdict: (id, verdict, figure) => this.#decide(id, verdict, figure),
      onAnswered: ids => this.#beginWaiting(ids),
      onLost: reason => this.#lose(reason)
    })
    this.#session = session
    if (this.#earlierSession !== undefined) session.tell('x', this.#earlierSession)
    this.#earlierSession = session.id
    const taken = this.#taken
    this.#taken = new Map()
    this.#tellTaken(session, taken)
    this.#tellPlaces(session)
    session.tell('e')
    if (await session.join()) return this.#goOnTogether(session)
    for (const [name, count] of taken) this.#taken.set(name, count + (this.#taken.get(name) ?? 0))
  }

  #tellTaken (session: LimitsSession, taken: Map<string, number>): void {
    for (const [name, count] of taken) {
      const rate = name === '*' ? this.#key.rate : this.#members.get(name)?.rate ?? null
      const left = name === '*' ? this.#local.keyTokens : this.#local.usage(name).bucket.tokens
      if (rate !== null) session.tell('d', name, rate.perSecond, rate.burst, count, left)
    }
  }

  #tellPlaces (session: LimitsSession): void {
    const places = new Map<string, number>()
    for (const lease of this.#leases.list()) {
      if (lease.state !== 'held' || !takesPlace(this.#limitsOf(lease), this.#key, lease.kind)) continue
      lease.heldIn = session
      const place = `${lease.kind} ${lease.usage.name}`
      places.set(place, (places.get(place) ?? 0) + 1)
    }
    for (const [place, count] of places) session.tell('h', ...place.split(' '), count)
  }

  #goOnTogether (session: LimitsSession): void {
    const waiting = this.#local.withdraw() as FleetLease[]
    this.#tellTaken(session, this.#taken)
    this.#taken.clear()
    this.#left.clear()
    this.#decideTogether()
    for (const lease of waiting) this.#ask(lease)
    this.#options.onChange(true, '')
  }

  /** New limits: some who are here take up a place now, some don't any more. */
  #correctPlaces (): void {
    for (const lease of this.#leases.list()) {
      if (lease.state !== 'held') continue
      if (takesPlace(this.#limitsOf(lease), this.#key, lease.kind)) this.#takePlace(lease)
      else this.#leavePlace(lease)
    }
  }

  #goOnAlone (lease: FleetLease): void {
    this.#stopWaiting(lease)
    if (lease.stage !== 'left') this.#takeHere(lease)
  }

  /** Alone from here on. Whoever waits for Redis is decided about here. */
  #lose (reason: string): void {
    this.#failure = reason
    const wasShared = !this.#joining && this.#session !== undefined
    this.#session = undefined
    if (!wasShared) return
    this.#refusedUntil.clear()
    this.#decideAlone()
    for (const question of this.#questions.clear()) {
      if ('guessed' in question) question.guessed(undefined)
      else this.#goOnAlone(question)
    }
    this.#options.onChange(false, reason)
  }
}
