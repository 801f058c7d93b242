/** Upper bounds in seconds: from what the proxy adds itself up to a long poll. */
export const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const

/** Of one series. Observing is an addition to an array; the sums that Prometheus wants are made when it asks. */
export class DurationHistogram {
  readonly #counts = new Float64Array(bounds.length + 1)
  sumSeconds = 0
  count = 0

  observe (seconds: number): void {
    let index = 0
    while (index < bounds.length && seconds > (bounds[index] as number)) index++
    this.#counts[index] = (this.#counts[index] as number) + 1
    this.sumSeconds += seconds
    this.count++
  }

  /** How many were at most as long as each bound, the last one being infinity. */
  cumulative (): Array<{ le: string, count: number }> {
    let count = 0
    return [...this.#counts].map((own, index) => {
      count += own
      return { le: index < bounds.length ? String(bounds[index]) : '+Inf', count }
    })
  }
}
