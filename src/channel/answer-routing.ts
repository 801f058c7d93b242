import type { AsyncIds, Asker } from './async-ids.ts'
import type { EarlyAnswers } from './early-answers.ts'
import type { AnswerNote, LoggedEvent } from './event-log.ts'
import { makeAnswersMessage, readSingleAnswer, replaceAnswerId, type Answer } from './message.ts'

/** What becomes of an answer. */
export interface AnswerSink {
  /** A message for one member; `notes` are for the instances that sent the requests. */
  deliver (member: string, text: string, notes: AnswerNote[]): void
  /** For the trail: which request was answered, how, after how many milliseconds. */
  noteAnswer (trailId: string, status: number | null, latencyMs: number): void
}

/** Called with the answer, its id already the member's own, in place of delivery over the channel. */
export type Waiter = (answerText: string, status: number | null) => void

/** An instance that hasn't taken an answer that its client waits for by then is taken for dead. */
const takeMs = 5_000

/**
 * Brings each asynchronous answer to whoever asked, and to nobody else. The instance that holds the channel routes; what
 * concerns a request of another instance is told to it by the log.
 */
export class AnswerRouting {
  readonly #instance: string
  readonly #ids: AsyncIds
  readonly #early: EarlyAnswers
  readonly #sink: AnswerSink
  readonly #waiters = new Map<string, Waiter>()

  constructor (instance: string, ids: AsyncIds, early: EarlyAnswers, sink: AnswerSink) {
    this.#instance = instance
    this.#ids = ids
    this.#early = early
    this.#sink = sink
    ids.onLearned = upstreamId => this.#routeEarly(upstreamId, Date.now())
  }

  /** Before a request goes upstream under an id that we chose. */
  expect (upstreamId: string, asker: Asker): void { this.#ids.add(upstreamId, asker) }

  /** After a 202 named the id that the API chose; its answer may be here already. */
  learn (upstreamId: string, asker: Asker, nowMs: number): void {
    this.#ids.add(upstreamId, asker)
    this.#routeEarly(upstreamId, nowMs)
  }

  /** The API refused the request: there will be no answer. */
  forget (upstreamId: string): void {
    this.#ids.take(upstreamId)
    this.#waiters.delete(upstreamId)
  }

  /** Takes the answer in place of the channel until the returned function is called. */
  intercept (upstreamId: string, waiter: Waiter): () => void {
    this.#waiters.set(upstreamId, waiter)
    return () => {
      if (this.#waiters.delete(upstreamId)) this.#ids.change(upstreamId, { waits: false })
    }
  }

  route (answers: readonly Answer[], nowMs: number): void {
    const byMember = new Map<string, { texts: string[], notes: AnswerNote[] }>()
    for (const answer of answers) {
      const asker = this.#ids.find(answer.id)
      if (asker === undefined) this.#early.add(answer, nowMs)
      else if (asker.instance === this.#instance) this.#routeOwn(answer, asker, nowMs, byMember)
      else this.#routeForeign(answer, asker, nowMs, byMember)
    }
    for (const [member, { texts, notes }] of byMember) this.#sink.deliver(member, makeAnswersMessage(texts), notes)
  }

  /** Something new on the log: it may hold answers to requests of this instance. */
  receive ({ answers = [], bytes }: LoggedEvent): void {
    for (const { instance, upstreamId, waits, trailId, status, latencyMs } of answers) {
      if (instance !== this.#instance) continue
      this.#sink.noteAnswer(trailId, status, latencyMs)
      if (waits) this.#takeAwaited(upstreamId, bytes.toString(), status)
    }
  }

  /** Answers for clients whose instance has died go over the channel. `find` looks one up on the log. */
  deliverLeft (nowMs: number, find: (upstreamId: string) => LoggedEvent | undefined): void {
    for (const upstreamId of this.#ids.leftSince(nowMs - takeMs)) {
      const asker = this.#ids.take(upstreamId)
      const event = find(upstreamId)
      if (event !== undefined && asker !== undefined && asker.member !== null) this.#sink.deliver(asker.member, event.bytes.toString(), [])
    }
  }

  #routeEarly (upstreamId: string, nowMs: number): void {
    const early = this.#early.take(upstreamId)
    if (early) this.route([early], nowMs)
  }

  #routeOwn (answer: Answer, asker: Asker, nowMs: number, byMember: Map<string, { texts: string[], notes: AnswerNote[] }>): void {
    this.#ids.take(answer.id)
    this.#sink.noteAnswer(asker.trailId, answer.status, nowMs - asker.askedAt)
    const waiter = this.#waiters.get(answer.id)
    this.#waiters.delete(answer.id)
    if (waiter) waiter(replaceAnswerId(answer.text, asker.clientId), answer.status)
    else collect(byMember, asker, answer)
  }

  /** The log brings it to the other instance: to everybody's ears, or to a client that waits there. */
  #routeForeign (answer: Answer, asker: Asker, nowMs: number, byMember: Map<string, { texts: string[], notes: AnswerNote[] }>): void {
    const { instance, trailId, waits, member } = asker
    const note: AnswerNote = { instance, upstreamId: answer.id, waits, trailId, status: answer.status, latencyMs: nowMs - asker.askedAt }
    if (!waits || member === null) {
      this.#ids.take(answer.id)
      return collect(byMember, asker, answer, note)
    }
    this.#ids.change(answer.id, { answeredAt: nowMs })
    this.#sink.deliver(member, makeAnswersMessage([replaceAnswerId(answer.text, asker.clientId)]), [note])
  }

  /** Once: if it isn't known any more, it has gone over the channel, because this instance was taken for dead. */
  #takeAwaited (upstreamId: string, message: string, status: number | null): void {
    const asker = this.#ids.take(upstreamId)
    const waiter = this.#waiters.get(upstreamId)
    this.#waiters.delete(upstreamId)
    if (asker === undefined) return
    if (waiter) waiter(readSingleAnswer(message), status)
    else if (asker.member !== null) this.#sink.deliver(asker.member, message, [])
  }
}

function collect (byMember: Map<string, { texts: string[], notes: AnswerNote[] }>, { member, clientId }: Asker, answer: Answer, note?: AnswerNote): void {
  if (member === null) return
  const collected = byMember.get(member) ?? { texts: [], notes: [] }
  byMember.set(member, collected)
  collected.texts.push(replaceAnswerId(answer.text, clientId))
  if (note) collected.notes.push(note)
}
