import type { FleetService } from '../decorations.ts'
import { FleetAdmission } from './fleet-admission.ts'
import { FleetBuckets } from './fleet-buckets.ts'
import { makeFleetLease, type FleetLease } from './fleet-lease.ts'
import { FleetPlaces } from './fleet-places.ts'
import { FleetRules } from './fleet-rules.ts'
import { FleetSessions } from './fleet-sessions.ts'
import type { FleetUsage } from './fleet-usage.ts'
import type { LocalLimits } from './limits-local.ts'
import type { LimitsSession, Verdict } from './limits-session.ts'
import { leaveToRedis, shareKey, shareMember } from './limits-share.ts'
import type { Clock, KeyLimits, Kind, Limits, MemberLimits, Pressure, Refusal, Usage, UsageState } from './limits.ts'
import type { Rate } from './token-bucket.ts'

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

/**
 * The limits of several instances. Redis decides about what only all together can know (`limits-script.ts`); what this process holds
 * is counted in `LocalLimits` too, which decides alone, with this instance's share, while there is no session with Redis.
 */
export class FleetLimits implements Limits {
  readonly #options: FleetLimitsOptions
  readonly #local: LocalLimits
  readonly #rules = new FleetRules()
  readonly #places = new FleetPlaces(this.#rules)
  readonly #buckets: FleetBuckets
  readonly #admission: FleetAdmission
  readonly #sessions: FleetSessions
  #sharedDay = ''

  constructor (options: FleetLimitsOptions) {
    const { clock, local } = options
    this.#options = options
    this.#local = local
    this.#buckets = new FleetBuckets({ clock, rules: this.#rules, local })
    this.#sessions = this.#makeSessions(options)
    this.#admission = new FleetAdmission({ ...options, rules: this.#rules, places: this.#places, buckets: this.#buckets, sessions: this.#sessions, waiting: () => this.pressure().waiting })
  }

  get shared (): boolean { return this.#sessions.joined }

  configure (members: ReadonlyMap<string, MemberLimits>, key: KeyLimits): void {
    Object.assign(this.#rules, { members, key })
    this.#admission.questions.forgetRefusals()
    if (!this.shared) return this.#decideAlone()
    this.#decideTogether()
    this.#places.correct(this.#sessions.current)
  }

  usage (member: string): Usage { return this.#local.usage(member) }

  open (usage: Usage, kind: Kind): FleetLease { return makeFleetLease(this.#local.open(usage, kind)) }

  acquire (lease: FleetLease, done: (refusal?: Refusal) => void): void { this.#admission.acquire(lease, done) }
  release (lease: FleetLease, sent: boolean): void { this.#admission.release(lease, sent) }
  countRefusal (usage: Usage): void { this.#local.countRefusal(usage) }
  openOf (usage: Usage): number { return this.#local.openOf(usage) + this.#options.usage.openElsewhere(usage.name) }

  state (): UsageState {
    return { ...this.#local.state(), instances: this.#sessions.size, session: this.#sessions.id }
  }

  /** The share of the process before is its share, and what it held is not held any more. */
  restore (state: UsageState): void {
    this.#local.restore(state)
    this.#sessions.restore(state.session, state.instances)
    if (!this.shared) this.#decideAlone()
    this.#options.usage.adoptRestored()
  }

  pressure (): Pressure {
    const { open, waiting } = this.ownPressure()
    const { usage } = this.#options
    return { open: open + usage.openElsewhere('*'), waiting: waiting + usage.waitingElsewhere, shared: this.shared ? 1 : 0, limits: this.shared ? 'shared with the other instances' : `this instance's share, one of ${this.#sessions.size} (${this.#sessions.failure})` }
  }

  ownPressure (): { open: number, waiting: number } {
    const { open, waiting } = this.#local.pressure()
    return { open, waiting: waiting + this.#admission.questions.waiting }
  }

  /** A wrong token from a network: calls back with ms to wait, 0 = not limited; `undefined` = Redis can't say. */
  guess (network: string, rate: Rate, done: (waitMs: number | undefined) => void): void {
    if (this.shared) this.#admission.questions.guess(network, rate, done)
    else done(undefined)
  }

  /** Every second. */
  async beat (): Promise<void> {
    // A day's share is of what was left of that day.
    if (!this.shared && this.#local.day !== this.#sharedDay) this.#decideAlone()
    await this.#sessions.beat()
  }

  restart (): void { this.#sessions.restart() }

  /** `ok` or `busy` of requests that waited, from another instance's script: the session, then id and verdict of each. */
  hear (message: string): void {
    const [session, ...words] = message.split(' ')
    if (session !== this.#sessions.current?.id) return
    for (let index = 0; index < words.length; index += 2) this.#admission.questions.decide(Number(words[index]), words[index + 1] as Verdict, -1)
  }

  leave (): Promise<void> { return this.#sessions.leave() }

  #decideTogether (): void {
    this.#local.configure(new Map([...this.#rules.members].map(([name, limits]) => [name, leaveToRedis(limits)])), { ...this.#rules.key, rate: null })
  }

  #decideAlone (): void {
    const { size } = this.#sessions
    this.#sharedDay = this.#local.day
    const members = [...this.#rules.members].map(([name, limits]): [string, MemberLimits] => [name, shareMember(limits, size, this.#local.usage(name).sentToday)])
    this.#local.configure(new Map(members), shareKey(this.#rules.key, size), this.#buckets.first)
  }

  #makeSessions ({ fleet, isListening, usage }: FleetLimitsOptions): FleetSessions {
    return new FleetSessions({
      fleet,
      isListening,
      key: () => this.#rules.key,
      // First the day's counts: a Redis that lost them gets them back before anybody is let in on them.
      prepare: () => usage.exchange(),
      onJoining: session => {
        this.#buckets.putBack(session)
        this.#places.tellAll(session)
      },
      onJoined: session => this.#goOnTogether(session),
      onLost: reason => this.#goOnAlone(reason),
      onVerdict: (id, verdict, figure) => this.#admission.questions.decide(id, verdict, figure),
      onAnswered: (ids, keyTokens) => this.#hearAnswer(ids, keyTokens)
    })
  }

  #hearAnswer (ids: number[], keyTokens: number): void {
    if (this.#rules.key.rate !== null) this.#buckets.hear(undefined, keyTokens)
    this.#admission.questions.beginWaiting(ids)
  }

  #goOnTogether (session: LimitsSession): void {
    const waiting = this.#local.withdraw() as FleetLease[]
    this.#buckets.close(session)
    this.#decideTogether()
    for (const lease of waiting) this.#admission.questions.ask(lease)
    this.#options.onChange(true, '')
  }

  /** Whoever waits for Redis is decided about here. */
  #goOnAlone (reason: string): void {
    this.#buckets.part(this.#sessions.size)
    this.#admission.questions.forgetRefusals()
    this.#decideAlone()
    for (const lease of this.#admission.questions.clear()) if (lease.stage !== 'left') this.#admission.takeHere(lease)
    this.#options.onChange(false, reason)
  }
}
