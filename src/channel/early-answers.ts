import type { Answer } from './message.ts'

/** An answer nobody is known to have asked for, yet: it may have overtaken the 202 that names its id. */
export interface EarlyAnswer { answer: Answer, at: number }

/** Keeps such answers for a moment; what isn't claimed by then is nobody's here. Bounded in number, bytes and time. */
export class EarlyAnswers {
  readonly #waiting = new Map<string, EarlyAnswer>()
  readonly #holdMs: number
  readonly #maxBytes: number
  #bytes = 0
  /** Answers that nobody claimed: to requests made with the key outside the proxy, most likely. */
  unclaimed = 0

  constructor (holdMs: number, maxBytes: number) {
    this.#holdMs = holdMs
    this.#maxBytes = maxBytes
  }

  get size (): number { return this.#waiting.size }

  add (answer: Answer, nowMs: number): void {
    this.#drop(answer.id)
    this.#waiting.set(answer.id, { answer, at: nowMs })
    this.#bytes += answer.text.length
    for (const id of this.#waiting.keys()) {
      if (this.#bytes <= this.#maxBytes) return
      this.unclaimed++
      this.#drop(id)
    }
  }

  take (id: string): Answer | undefined {
    const found = this.#waiting.get(id)?.answer
    this.#drop(id)
    return found
  }

  expire (nowMs: number): void {
    for (const [id, { at }] of this.#waiting) {
      if (at + this.#holdMs > nowMs) return
      this.unclaimed++
      this.#drop(id)
    }
  }

  #drop (id: string): void {
    const found = this.#waiting.get(id)
    if (found === undefined) return
    this.#waiting.delete(id)
    this.#bytes -= found.answer.text.length
  }
}
