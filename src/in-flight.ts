/** What belongs to an `InFlight` keeps its own place there. */
export interface Placed {
  /** -1 while it is in none. */
  place: number
}

/**
 * What is open at this moment: requests, answers, exchanges. To be used where a Set or Map would be emptied as fast as it is
 * filled. V8 makes those anew every hundred-odd entries and links each discarded table to the next one: a single table that
 * got old keeps all later ones, and every request they ever held, until the next full collection. Under load that was a third
 * of the proxy's CPU, spent in copying what was dead.
 */
export class InFlight<T extends Placed> {
  /** Its length only grows: V8 makes an array anew that shrinks and grows, with the same result. */
  readonly #items: Array<T | undefined> = []
  #size = 0

  get size (): number { return this.#size }

  add (item: T): void {
    if (item.place !== -1) return
    item.place = this.#size
    this.#items[this.#size++] = item
  }

  /** The last one takes the place that gets free. */
  delete (item: T): void {
    const { place } = item
    if (place === -1) return
    const last = this.#items[--this.#size] as T
    this.#items[this.#size] = undefined
    item.place = -1
    if (last === item) return
    last.place = place
    this.#items[place] = last
  }

  /** As it is now; items may leave while the list is walked. */
  list (): T[] { return this.#items.slice(0, this.#size) as T[] }
}
