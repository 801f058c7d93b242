import type { FleetBuckets } from './fleet-buckets.ts'
import type { FleetLease } from './fleet-lease.ts'
import type { FleetPlaces } from './fleet-places.ts'
import { FleetQuestions } from './fleet-questions.ts'
import type { FleetRules } from './fleet-rules.ts'
import type { FleetSessions } from './fleet-sessions.ts'
import type { FleetUsage } from './fleet-usage.ts'
import type { LocalLimits } from './limits-local.ts'
import type { Clock, Refusal } from './limits.ts'

interface Options {
  clock: Clock
  local: LocalLimits
  usage: FleetUsage
  rules: FleetRules
  places: FleetPlaces
  buckets: FleetBuckets
  sessions: FleetSessions
  /** Requests that wait for the key, on all instances. */
  waiting: () => number
}

/** The way of one request: by Redis if it has a say, then by this process. */
export class FleetAdmission {
  readonly #options: Options
  readonly questions: FleetQuestions

  constructor (options: Options) {
    const { clock, rules, sessions, waiting } = options
    this.#options = options
    this.questions = new FleetQuestions({
      clock,
      rules,
      session: () => sessions.current,
      admit: (lease, tokens) => this.#admit(lease, tokens),
      refuse: (lease, refusal) => this.#refuse(lease, refusal),
      waiting
    })
  }

  acquire (lease: FleetLease, done: (refusal?: Refusal) => void): void {
    const { places, sessions, rules } = this.#options
    lease.answer = done
    places.add(lease)
    if (sessions.joined && rules.needsRedis(lease)) this.questions.ask(lease)
    else this.takeHere(lease)
  }

  release (lease: FleetLease, sent: boolean): void {
    if (lease.state === 'ended') return
    this.#options.places.delete(lease)
    if (lease.stage === 'here') {
      this.#options.places.leave(lease, this.#options.sessions.current)
      return this.#options.local.release(lease, sent)
    }
    lease.state = 'ended'
    if (lease.stage === 'waiting') this.questions.cancel(lease)
    lease.stage = 'left'
  }

  #admit (lease: FleetLease, tokens: number): void {
    const { rules, sessions, buckets } = this.#options
    const { rate, daily } = rules.limitsOf(lease)
    lease.counted = daily !== null
    if (rules.takesPlace(lease)) lease.heldIn = sessions.current
    if (rate !== null && tokens >= 0) buckets.hear(lease.usage.name, tokens)
    if (lease.stage === 'left') this.#giveUp(lease)
    else this.takeHere(lease)
  }

  #refuse (lease: FleetLease, refusal: Refusal): void {
    this.#options.places.delete(lease)
    lease.state = 'ended'
    if (lease.stage !== 'left') lease.answer(refusal)
  }

  /** In this process, which knows its own places, and while alone its share of the rest. */
  takeHere (lease: FleetLease): void {
    const { local, usage, places, sessions } = this.#options
    lease.stage = 'here'
    lease.state = 'new'
    local.acquire(lease, refusal => {
      if (refusal !== undefined) return this.#refuseHere(lease, refusal)
      if (lease.counted) usage.countedThere(lease.usage)
      places.take(lease, sessions.current)
      lease.answer()
    })
  }

  #refuseHere (lease: FleetLease, refusal: Refusal): void {
    this.#options.places.delete(lease)
    this.#giveUp(lease)
    lease.answer(refusal)
  }

  /** Redis let it in, and it doesn't go on. */
  #giveUp (lease: FleetLease): void {
    const { places, sessions } = this.#options
    places.leave(lease, sessions.current)
    if (lease.counted) sessions.current?.tell('g', lease.usage.name, -1, -1, 0)
    lease.counted = false
  }
}
