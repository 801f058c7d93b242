import type { FleetRules } from './fleet-rules.ts'
import { noticedMs, type LimitsSession } from './limits-session.ts'
import { balanceShare, fillShare, takeShare, type TakenShare } from './limits-share.ts'
import type { LocalLimits } from './limits-local.ts'
import type { Clock } from './limits.ts'
import { countTokens, makeBucket, type Bucket } from './token-bucket.ts'

/** In messages to Redis and here: the key's bucket. No member has that name. */
const ofKey = '*'

interface Options {
  clock: Pick<Clock, 'nowMs'>
  rules: FleetRules
  local: LocalLimits
}

/**
 * Tokens that this instance has apart from the others. A token is in one place only: as long as Redis is in touch, there; when it
 * isn't, each takes its share along of what was left when last heard, and puts back what it has when Redis is back, or owes it.
 */
export class FleetBuckets {
  readonly #options: Options
  /** What was left in the shared buckets when last heard. */
  readonly #left = new Map<string, Bucket>()
  readonly #taken = new Map<string, TakenShare>()
  /** What Redis was told at the beginning of a session. */
  readonly #told = new Map<string, number>()
  #aloneSinceMs: number
  #size = 1
  #isStranger = true

  constructor (options: Options) {
    this.#options = options
    this.#aloneSinceMs = options.clock.nowMs()
  }

  hear (member: string | undefined, tokens: number): void {
    this.#left.set(member ?? ofKey, makeBucket(tokens, this.#options.clock.nowMs()))
  }

  /** From now on with a share, one of `size`. */
  part (size: number): void {
    this.#size = size
    this.#isStranger = false
    this.#aloneSinceMs = this.#options.clock.nowMs()
    this.#taken.clear()
  }

  /** Of a limit that is kept here from now on. Who was never in touch may have had any number of predecessors: it begins with one token. */
  readonly first = (member: string | undefined): Bucket => {
    const rate = this.#options.rules.rateOf(member)
    if (rate === null) return makeBucket(0, this.#aloneSinceMs)
    const name = member ?? ofKey
    const left = this.#left.get(name)
    if (this.#isStranger) return this.#beginAsStranger(name)
    const share = takeShare(left === undefined ? rate.burst : countTokens(left, rate, this.#aloneSinceMs), rate, this.#size, noticedMs)
    this.#taken.set(name, share)
    return fillShare(share, this.#aloneSinceMs, noticedMs)
  }

  /** To a session that begins. */
  putBack (session: LimitsSession): void {
    const aloneMs = this.#options.clock.nowMs() - this.#aloneSinceMs
    this.#told.clear()
    this.#left.clear()
    for (const [name, share] of this.#taken) {
      const tokens = this.#tokensOf(name)
      if (tokens === undefined) continue
      this.#told.set(name, tokens)
      const balance = balanceShare(share, tokens, aloneMs)
      this.#tell(session, name, this.#isStranger ? Math.min(0, balance) : balance, tokens)
    }
  }

  /** What was taken while the session began. From here on Redis has everything. */
  close (session: LimitsSession): void {
    for (const name of this.#taken.keys()) {
      const more = (this.#tokensOf(name) ?? 0) - (this.#told.get(name) ?? 0)
      if (more < 0) this.#tell(session, name, more, 0)
    }
    this.#taken.clear()
  }

  #beginAsStranger (name: string): Bucket {
    this.#taken.set(name, { tokens: 1, perMs: 0, advanceMs: 0 })
    return makeBucket(1, this.#options.clock.nowMs())
  }

  #tokensOf (name: string): number | undefined {
    return this.#options.local.tokensOf(name === ofKey ? undefined : name)
  }

  #tell (session: LimitsSession, name: string, more: number, all: number): void {
    const rate = this.#options.rules.rateOf(name === ofKey ? undefined : name)
    if (rate !== null) session.tell('b', name, rate.perSecond, rate.burst, more.toFixed(6), all.toFixed(6))
  }
}
