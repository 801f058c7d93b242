/** Work that must not overlap: each reads what the API or the state has, and changes it by that. */
export interface Turns {
  /** One after the other for each subject; with several instances, one after the other among all of them. */
  take<T> (subject: string, work: () => Promise<T>): Promise<T>
}

/** Within one process. */
export class LocalTurns implements Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  take<T> (subject: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(subject) ?? Promise.resolve()).then(work, work)
    const end = turn.then(() => {}, () => {}).then(() => { if (this.#last.get(subject) === end) this.#last.delete(subject) })
    this.#last.set(subject, end)
    return turn
  }
}
