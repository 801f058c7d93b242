/** Room for so many questions under way at a time. Ids stay exact integers for eight billion questions. */
const places = 2 ** 20

/**
 * What was asked and has no answer yet, by id. An id is never given out twice, so that an answer that comes too late finds nothing.
 * Not a Map, for the reason that `InFlight` gives.
 */
export class Questions<T> {
  readonly #items: Array<{ id: number, item: T } | undefined> = []
  readonly #free: number[] = []
  #freeCount = 0
  #asked = 0

  add (item: T): number {
    const place = this.#freeCount > 0 ? this.#free[--this.#freeCount] as number : this.#items.length
    const id = ++this.#asked * places + place
    this.#items[place] = { id, item }
    return id
  }

  find (id: number): T | undefined {
    const question = this.#items[id % places]
    return question?.id === id ? question.item : undefined
  }

  delete (id: number): void {
    const place = id % places
    if (this.#items[place]?.id !== id) return
    this.#items[place] = undefined
    this.#free[this.#freeCount++] = place
  }

  /** Ends them all. */
  clear (): T[] {
    const questions = this.#items.flatMap(question => question === undefined ? [] : [question])
    for (const { id } of questions) this.delete(id)
    return questions.map(({ item }) => item)
  }
}
