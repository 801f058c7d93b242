/** Whether somebody needs the upstream channel, or did a short while ago. Times are milliseconds since the epoch. */
export class Demand {
  readonly #lingerMs: number
  readonly #always: boolean
  #holders = 0
  #until = 0
  #untilElsewhere = 0

  /** `always`: needed whether or not somebody listens. */
  constructor (always: boolean, lingerMs: number) {
    this.#always = always
    this.#lingerMs = lingerMs
  }

  hold (): void { this.#holders++ }

  release (nowMs: number): void {
    this.#holders--
    this.touch(nowMs)
  }

  /** Somebody did something whose result comes over the channel. */
  touch (nowMs: number): void { this.#until = Math.max(this.#until, nowMs + this.#lingerMs) }

  /** Somebody at another instance needs it. */
  touchElsewhere (nowMs: number): void { this.#untilElsewhere = nowMs + this.#lingerMs }

  isWantedHere (nowMs: number): boolean { return this.#always || this.#holders > 0 || nowMs < this.#until }

  isWanted (nowMs: number): boolean { return this.isWantedHere(nowMs) || nowMs < this.#untilElsewhere }
}
