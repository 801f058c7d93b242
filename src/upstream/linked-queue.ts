/** What is in a `LinkedQueue` holds its own links. */
export interface Linked<T> {
  previous: T | undefined
  next: T | undefined
}

/** In order of arrival; whoever leaves does so in one step, from the front or the middle, however many there are. */
export class LinkedQueue<T extends Linked<T>> {
  #first: T | undefined
  #last: T | undefined
  #size = 0

  get first (): T | undefined { return this.#first }
  get size (): number { return this.#size }

  push (item: T): void {
    item.previous = this.#last
    if (this.#last === undefined) this.#first = item
    else this.#last.next = item
    this.#last = item
    this.#size++
  }

  /** `item` must be in this queue. */
  remove (item: T): void {
    const { previous, next } = item
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    item.previous = item.next = undefined
    this.#size--
  }
}
