import type { FleetLease } from './fleet-lease.ts'
import type { FleetRules, SharedKind } from './fleet-rules.ts'
import { allOfKindOpen, budgetSpent, keyBusy, rateReached, tooManyOpen } from './limit-refusals.ts'
import type { LimitsSession, Verdict } from './limits-session.ts'
import type { Clock, Refusal } from './limits.ts'
import { Questions } from './questions.ts'
import type { Rate } from './token-bucket.ts'

/** A wrong token that is counted together. */
interface Guess { guessed: (waitMs: number | undefined) => void }

interface Options {
  clock: Clock
  rules: FleetRules
  session: () => LimitsSession | undefined
  /** Redis let it in. `tokens`: left in its member's bucket, -1 = it has none. */
  admit: (lease: FleetLease, tokens: number) => void
  /** Redis didn't, or it waited in vain. */
  refuse: (lease: FleetLease, refusal: Refusal) => void
  /** Requests that wait for the key, on all instances. */
  waiting: () => number
}

/** Once refused, a member's requests are refused here for up to this long without asking again. */
const mostRefusedHereMs = 1000

/** What Redis is asked about requests, and what becomes of those that wait for its answer. */
export class FleetQuestions {
  readonly #options: Options
  readonly #open = new Questions<FleetLease | Guess>()
  readonly #refusedUntil = new Map<string, { untilMs: number, refusal: Refusal }>()
  waiting = 0

  constructor (options: Options) {
    this.#options = options
  }

  ask (lease: FleetLease): void {
    const { clock, rules, session, refuse } = this.#options
    const { usage: { name }, kind } = lease
    const refused = this.#refusedUntil.get(name)
    if (refused !== undefined && refused.untilMs > clock.nowMs()) return refuse(lease, refused.refusal)
    const { rate, daily } = rules.limitsOf(lease)
    lease.id = this.#open.add(lease)
    lease.stage = 'asked'
    session()?.ask('a', lease.id, kind, name, rate?.perSecond ?? -1, rate?.burst ?? -1, rules.capOf(lease) ?? -1, daily ?? -1)
  }

  /** A wrong token from a network: calls back with ms to wait, 0 = not limited; `undefined` = Redis can't say. */
  guess (network: string, rate: Rate, done: (waitMs: number | undefined) => void): void {
    this.#options.session()?.ask('w', this.#open.add({ guessed: done }), network, rate.perSecond, rate.burst)
  }

  readonly decide = (id: number, verdict: Verdict, figure: number): void => {
    const lease = this.#open.find(id)
    this.#open.delete(id)
    if (lease === undefined) return
    if ('guessed' in lease) return lease.guessed(Math.max(0, figure))
    this.stopWaiting(lease)
    if (verdict === 'ok') this.#options.admit(lease, figure)
    else this.#explain(lease, verdict, figure)
  }

  /** What was asked and has no verdict waits. */
  readonly beginWaiting = (ids: number[]): void => {
    for (const id of ids) {
      const lease = this.#open.find(id)
      if (lease === undefined || 'guessed' in lease) continue
      if (lease.stage === 'left') this.cancel(lease)
      else this.#wait(lease)
    }
  }

  stopWaiting (lease: FleetLease): void {
    if (lease.stopWaiting === undefined) return
    lease.stopWaiting()
    lease.stopWaiting = undefined
    this.waiting--
  }

  /** Its client left while it waited. */
  cancel (lease: FleetLease): void { this.#cancel(lease, null) }

  /** Limits have changed: what was refused may pass. */
  forgetRefusals (): void { this.#refusedUntil.clear() }

  /** Ends all questions. Returns the requests among them. */
  clear (): FleetLease[] {
    const leases: FleetLease[] = []
    for (const question of this.#open.clear()) {
      if ('guessed' in question) question.guessed(undefined)
      else leases.push(question)
    }
    for (const lease of leases) this.stopWaiting(lease)
    return leases
  }

  /** @param rate of the bucket that gets its token back */
  #cancel (lease: FleetLease, rate: Rate | null): void {
    const { id, usage: { name } } = lease
    this.#open.delete(id)
    this.stopWaiting(lease)
    this.#options.session()?.tell('c', id, name)
    this.#giveBack(lease, rate)
  }

  #giveBack (lease: FleetLease, rate: Rate | null): void {
    this.#options.session()?.tell('g', lease.usage.name, rate?.perSecond ?? -1, rate?.burst ?? -1, this.#options.rules.limitsOf(lease).daily ?? -1)
  }

  #explain (lease: FleetLease, verdict: Exclude<Verdict, 'ok'>, figure: number): void {
    const { clock, rules, refuse } = this.#options
    const { rate, daily } = rules.limitsOf(lease)
    const kind = lease.kind as SharedKind
    if (verdict === 'open') return refuse(lease, tooManyOpen(kind, rules.capOf(lease) ?? 0))
    if (verdict === 'all') return refuse(lease, allOfKindOpen(kind, rules.capOfKey(kind) ?? 0))
    if (verdict === 'busy') return this.#refuseBusy(lease)
    const refusal = verdict === 'daily' ? budgetSpent(daily ?? 0, figure) : rateReached(rate ?? { perSecond: 1, burst: 1 }, figure)
    this.#refusedUntil.set(lease.usage.name, { untilMs: clock.nowMs() + Math.min(figure, mostRefusedHereMs), refusal })
    refuse(lease, refusal)
  }

  /** It waited for the key in vain; what was counted ahead is given back. */
  #refuseBusy (lease: FleetLease): void {
    this.#giveBack(lease, this.#options.rules.limitsOf(lease).rate)
    this.#options.refuse(lease, this.#busy())
  }

  #busy (): Refusal {
    const { rules, session, waiting } = this.#options
    return keyBusy(rules.key, session()?.tokensShort !== true, waiting())
  }

  #wait (lease: FleetLease): void {
    const { clock, rules, refuse } = this.#options
    const nowMs = clock.nowMs()
    lease.stage = 'waiting'
    if (lease.deadlineMs === 0) lease.deadlineMs = nowMs + rules.key.maxWaitMs
    this.waiting++
    lease.stopWaiting = clock.delay(Math.max(1, lease.deadlineMs - nowMs), () => {
      this.#cancel(lease, rules.limitsOf(lease).rate)
      refuse(lease, this.#busy())
    })
  }
}
