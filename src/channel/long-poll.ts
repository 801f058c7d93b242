import type { EndReason, Listener } from './fan-out.ts'
import type { LogReader } from './log-reader.ts'
import { mergeMessages } from './message.ts'

export interface Batch {
  /** One message of the API's shape; `null` if nothing came in time. */
  text: string | null
  /** Where the next poll goes on, once this batch has been delivered. */
  position: number
  /** Why events are missing before or within the batch. */
  gap: string | null
}

/** Messages up to this many bytes are joined into one answer; a larger one goes alone. */
const maxBatchBytes = 1024 * 1024

/** One waiting `GET /v2/notification/pull`: answered by the first events, or with nothing when the time is up. */
export class LongPoll implements Listener {
  readonly kind = 'long_poll'
  readonly memberName: string
  readonly ownBytes = 0
  readonly overflowed = false
  readonly #reader: LogReader
  readonly #answer: (batch: Batch) => void
  readonly #timer: NodeJS.Timeout
  #answered = false

  constructor (memberName: string, reader: LogReader, waitMs: number, answer: (batch: Batch) => void) {
    this.memberName = memberName
    this.#reader = reader
    this.#answer = answer
    this.#timer = setTimeout(() => this.#finish({ text: null, position: reader.position, gap: null }), waitMs)
  }

  deliver (): boolean {
    if (this.#answered) return false
    const collected = this.#collect()
    if (collected.texts.length > 0 || collected.gap !== null) this.#finish(joinBatch(collected, this.#reader.position))
    return false
  }

  tick (): void {}

  end (_reason: EndReason): void {
    this.#finish({ text: null, position: this.#reader.position, gap: null })
  }

  #collect (): Collected {
    const collected: Collected = { texts: [], positions: [], gap: null }
    for (let bytes = 0; bytes < maxBatchBytes;) {
      const delivery = this.#reader.next()
      if (delivery === undefined) break
      if (delivery.kind === 'gap') collected.gap = delivery.reason
      else {
        bytes += delivery.bytes.length
        collected.texts.push(delivery.bytes.toString())
        collected.positions.push(delivery.position)
      }
    }
    return collected
  }

  #finish (batch: Batch): void {
    if (this.#answered) return
    this.#answered = true
    clearTimeout(this.#timer)
    this.#answer(batch)
  }
}

interface Collected { texts: string[], positions: number[], gap: string | null }

/** What can't be joined to the rest is left to the next poll. */
function joinBatch ({ texts, positions, gap }: Collected, readTo: number): Batch {
  if (texts.length === 0) return { text: null, position: readTo, gap }
  const { text, count } = mergeMessages(texts)
  return { text, position: count === texts.length ? readTo : positions[count - 1] as number, gap }
}
