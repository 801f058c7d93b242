import type { AsyncIds, Asker } from './async-ids.ts'
import type { EarlyAnswers } from './early-answers.ts'
import { makeAnswersMessage, replaceAnswerId, type Answer } from './message.ts'

/** What becomes of an answer. */
export interface AnswerSink {
  /** A message for one member. */
  deliver (member: string, text: string): void
  /** For the trail: which request was answered, how, after how many milliseconds. */
  noteAnswer (asker: Asker, status: number | null, latencyMs: number): void
}

/** Called with the answer, its id already the member's own, in place of delivery over the channel. */
export type Waiter = (answerText: string, status: number | null) => void

/** Brings each asynchronous answer to whoever asked, and to nobody else. */
export class AnswerRouting {
  readonly #ids: AsyncIds
  readonly #early: EarlyAnswers
  readonly #sink: AnswerSink
  readonly #waiters = new Map<string, Waiter>()

  constructor (ids: AsyncIds, early: EarlyAnswers, sink: AnswerSink) {
    this.#ids = ids
    this.#early = early
    this.#sink = sink
  }

  /** Before a request goes upstream under an id that we chose. */
  expect (upstreamId: string, asker: Asker): void { this.#ids.add(upstreamId, asker) }

  /** After a 202 named the id that the API chose; its answer may be here already. */
  learn (upstreamId: string, asker: Asker, nowMs: number): void {
    this.#ids.add(upstreamId, asker)
    const early = this.#early.take(upstreamId)
    if (early) this.route([early], nowMs)
  }

  /** The API refused the request: there will be no answer. */
  forget (upstreamId: string): void {
    this.#ids.take(upstreamId)
    this.#waiters.delete(upstreamId)
  }

  /** Takes the answer in place of the channel until the returned function is called. */
  intercept (upstreamId: string, waiter: Waiter): () => void {
    this.#waiters.set(upstreamId, waiter)
    return () => { this.#waiters.delete(upstreamId) }
  }

  route (answers: readonly Answer[], nowMs: number): void {
    const byMember = new Map<string, string[]>()
    for (const answer of answers) this.#routeOne(answer, nowMs, byMember)
    for (const [member, texts] of byMember) this.#sink.deliver(member, makeAnswersMessage(texts))
  }

  #routeOne (answer: Answer, nowMs: number, byMember: Map<string, string[]>): void {
    const asker = this.#ids.take(answer.id)
    if (asker === undefined) return this.#early.add(answer, nowMs)
    this.#sink.noteAnswer(asker, answer.status, nowMs - asker.askedAt)
    if (asker.member === null) return
    const text = replaceAnswerId(answer.text, asker.clientId)
    const waiter = this.#waiters.get(answer.id)
    this.#waiters.delete(answer.id)
    if (waiter) waiter(text, answer.status)
    else byMember.set(asker.member, [...byMember.get(asker.member) ?? [], text])
  }
}
