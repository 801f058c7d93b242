import { countTokens, fillBucket, makeBucket, msToToken, takeToken, type Bucket, type Rate } from './token-bucket.ts'
import { keyBusy } from './limit-refusals.ts'
import type { Clock, KeyLimits, Lease, Refusal, Usage } from './limits.ts'

/**
 * The shared limit of the key. While there is room everybody passes at once; when there isn't, each member waits in a queue of
 * its own, and the queues are served in turn (deficit round robin, every request counting the same), so that a member who offers
 * a hundred times the load gets a turn as often as the others and no oftener.
 *
 * Waiting is bounded twice. By time: whoever waited `maxWaitMs` is refused. By number: beyond `maxWaiting` the newest request of
 * the longest queue is refused, so that the greedy pay for the crowd they make.
 */
export class FairQueue {
  #limits: KeyLimits
  readonly #clock: Clock
  #bucket: Bucket
  #open = 0
  #waiting = 0
  /** Members with somebody waiting, next in turn first. */
  readonly #turns: Usage[] = []
  #cancelTimer: (() => void) | undefined
  readonly #settle: (lease: Lease, refusal?: Refusal) => void

  /** @param settle called once for each lease that enters, unless it is cancelled: admitted, or refused */
  constructor (limits: KeyLimits, clock: Clock, settle: (lease: Lease, refusal?: Refusal) => void) {
    this.#limits = limits
    this.#clock = clock
    this.#settle = settle
    this.#bucket = limits.rate === null ? makeBucket(0, 0) : fillBucket(limits.rate, clock.nowMs())
  }

  get waiting (): number { return this.#waiting }
  get open (): number { return this.#open }
  /** In the key's bucket; `undefined` = no rate. */
  get tokens (): number | undefined { return this.#limits.rate === null ? undefined : countTokens(this.#bucket, this.#limits.rate, this.#clock.nowMs()) }

  /** @param firstBucket of a rate that is new */
  configure (limits: KeyLimits, firstBucket: (member: undefined, rate: Rate, nowMs: number) => Bucket): void {
    if (this.#limits.rate === null && limits.rate !== null) this.#bucket = firstBucket(undefined, limits.rate, this.#clock.nowMs())
    this.#limits = limits
    this.#serve()
  }

  /** Admits the lease at once, or queues it. */
  enter (lease: Lease): void {
    if (this.#waiting === 0 && this.#hasRoom(lease.usage) && this.#waitForTokenMs() === 0) return this.#admit(lease)
    this.#enqueue(lease)
    if (this.#waiting > this.#limits.maxWaiting) this.#refuseFromLongest()
    this.#serve()
  }

  /** An admitted lease ended. */
  leave (): void {
    this.#open--
    if (this.#waiting > 0) this.#serve()
  }

  /** A waiting lease ended: its client left. */
  cancel (lease: Lease): void {
    this.#dequeue(lease)
    if (this.#waiting === 0) this.#stopTimer()
  }

  #admit (lease: Lease): void {
    this.#open++
    lease.usage.open.request++
    lease.state = 'held'
    this.#settle(lease)
  }

  #enqueue (lease: Lease): void {
    const { usage } = lease
    if (usage.waiting.push(lease) === 1) this.#turns.push(usage)
    lease.state = 'waiting'
    // Who waited elsewhere before doesn't begin anew.
    if (lease.deadlineMs === 0) lease.deadlineMs = this.#clock.nowMs() + this.#limits.maxWaitMs
    this.#waiting++
  }

  #dequeue (lease: Lease): void {
    const { waiting } = lease.usage
    const index = waiting.indexOf(lease)
    if (index === -1) return
    waiting.splice(index, 1)
    this.#waiting--
    if (waiting.length === 0) this.#turns.splice(this.#turns.indexOf(lease.usage), 1)
  }

  #serve (): void {
    this.#refuseLate()
    let next = this.#chooseNext()
    while (next !== undefined && this.#waitForTokenMs() === 0) {
      const lease = next.waiting[0] as Lease
      this.#dequeue(lease)
      this.#moveToEnd(next)
      this.#admit(lease)
      next = this.#chooseNext()
    }
    this.#startTimer(next !== undefined)
  }

  #moveToEnd (usage: Usage): void {
    const index = this.#turns.indexOf(usage)
    if (index !== -1) this.#turns.push(...this.#turns.splice(index, 1))
  }

  /**
   * Whose turn it is. When places are what is scarce, not tokens, the member with the fewest open requests comes first, or members
   * with slow requests would get most of the places by turns as equal as any.
   */
  #chooseNext (): Usage | undefined {
    if (this.#limits.concurrency === null) return this.#turns[0]
    if (this.#open >= this.#limits.concurrency) return undefined
    const scarce = this.#open + this.#turns.length >= this.#limits.concurrency
    let best: Usage | undefined
    for (const usage of this.#turns) {
      if (!this.#hasRoom(usage)) continue
      if (!scarce) return usage
      if (best === undefined || usage.open.request < best.open.request) best = usage
    }
    return best
  }

  /** One member takes three quarters of the places at most, so that a newcomer never finds them all gone. */
  #hasRoom (usage: Usage): boolean {
    const { concurrency } = this.#limits
    if (concurrency === null) return true
    return this.#open < concurrency && usage.open.request < Math.max(1, Math.floor(concurrency * 0.75))
  }

  #waitForTokenMs (): number {
    return this.#limits.rate === null ? 0 : takeToken(this.#bucket, this.#limits.rate, this.#clock.nowMs())
  }

  #refuseFromLongest (): void {
    let longest = this.#turns[0]
    for (const usage of this.#turns) {
      if (usage.waiting.length > (longest?.waiting.length ?? 0)) longest = usage
    }
    const newest = longest?.waiting.at(-1)
    if (newest !== undefined) this.#refuse(newest)
  }

  #refuseLate (): void {
    const nowMs = this.#clock.nowMs()
    for (const usage of [...this.#turns]) {
      let oldest = usage.waiting[0]
      while (oldest !== undefined && oldest.deadlineMs <= nowMs) {
        this.#refuse(oldest)
        oldest = usage.waiting[0]
      }
    }
  }

  #refuse (lease: Lease): void {
    this.#dequeue(lease)
    lease.state = 'ended'
    this.#settle(lease, keyBusy(this.#limits, this.#open >= (this.#limits.concurrency ?? Infinity), this.#waiting))
  }

  /** One timer: for the next token, or for whoever has waited too long. */
  #startTimer (forToken: boolean): void {
    this.#stopTimer()
    if (this.#waiting === 0) return
    const nowMs = this.#clock.nowMs()
    let untilMs = Infinity
    for (const usage of this.#turns) untilMs = Math.min(untilMs, (usage.waiting[0]?.deadlineMs ?? Infinity) - nowMs)
    if (forToken && this.#limits.rate !== null) untilMs = Math.min(untilMs, this.#msToNextToken())
    this.#cancelTimer = this.#clock.delay(Math.max(1, untilMs), () => this.#serve())
  }

  #msToNextToken (): number {
    const { rate } = this.#limits
    return rate === null ? Infinity : msToToken(this.#bucket, rate)
  }

  #stopTimer (): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }
}
