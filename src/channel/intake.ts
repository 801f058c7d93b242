import type { AnswerRouting } from './answer-routing.ts'
import type { EventLog } from './event-log.ts'
import { dropRepeated, readMessage, splitMessage } from './message.ts'
import type { RecentUids } from './recent-uids.ts'

/** From a message of the API to events in the log: repeated items dropped, answers brought to whoever asked. */
export class Intake {
  readonly #log: EventLog
  readonly #routing: AnswerRouting
  readonly #uids: RecentUids
  /** Takes our own keys out of a message, if somebody got one in there. */
  readonly #mask: (data: Buffer) => Buffer
  messages = 0
  unreadable = 0
  /** Milliseconds since the epoch. */
  lastMessageAt: number | null = null

  constructor (log: EventLog, routing: AnswerRouting, uids: RecentUids, mask: (data: Buffer) => Buffer) {
    this.#mask = mask
    this.#log = log
    this.#routing = routing
    this.#uids = uids
  }

  /** False if it was no message of the API's shape; listeners are told that something is missing. */
  receive (data: Buffer, isBinary: boolean, nowMs: number): boolean {
    this.messages++
    this.lastMessageAt = nowMs
    const text = this.#mask(data).toString()
    if (isBinary || readMessage(text) === undefined) {
      this.unreadable++
      this.#log.append({ to: null, text: '', gap: 'message_unreadable' })
      return false
    }
    const fresh = dropRepeated(text, uid => this.#uids.isRepeated(uid) || this.#log.knows(uid))
    if (fresh === null) return true
    const { broadcast, answers } = splitMessage(fresh)
    if (broadcast !== null) this.#log.append({ to: null, text: broadcast, gap: null })
    if (answers.length > 0) this.#routing.route(answers, nowMs)
    return true
  }
}
