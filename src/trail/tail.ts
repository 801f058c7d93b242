import type { ServerResponse } from 'node:http'
import type { TailCursor } from './query/changes.ts'
import type { Conditions } from './query/parse.ts'
import type { Reading } from './reading.ts'

const pollMs = 300
const heartbeatMs = 15_000
/** A client that doesn't read isn't written to. */
const maxBufferedBytes = 1024 ** 2

/**
 * Server-sent events (WHATWG HTML §9.2) of what happens in the trail, read from the store: so all instances' records are
 * there, and a client that reconnects with `Last-Event-ID` misses none.
 *
 *   event: record     data: a record as in the list; it comes again when an open one has its outcome
 *   event: skipped    data: {"count":n}: more happened than a tail shows; the list has them
 */
export class Tail {
  readonly #reading: Pick<Reading, 'readChanges'>
  readonly #conditions: Conditions
  readonly #response: ServerResponse
  #cursor: TailCursor
  #timer: NodeJS.Timeout | undefined
  #wroteAt = performance.now()
  #ended = false

  constructor (reading: Pick<Reading, 'readChanges'>, conditions: Conditions, cursor: TailCursor, response: ServerResponse) {
    this.#reading = reading
    this.#conditions = conditions
    this.#cursor = cursor
    this.#response = response
  }

  begin (): void {
    if (this.#response.destroyed) return this.end() // it left while we looked where to begin
    this.#response.once('close', this.end)
    this.#write('retry: 2000\n\n')
    this.#schedule()
  }

  #schedule (): void {
    if (!this.#ended) this.#timer = setTimeout(this.#poll, pollMs)
  }

  readonly #poll = (): void => {
    if (this.#response.writableLength > maxBufferedBytes) return this.#schedule()
    this.#show().catch(() => {}).finally(() => this.#schedule()) // the reason is in the log; the store may come back
  }

  async #show (): Promise<void> {
    const { items, cursor, skipped } = await this.#reading.readChanges(this.#conditions, this.#cursor)
    this.#cursor = cursor
    let text = skipped > 0 ? `event: skipped\ndata: {"count":${skipped}}\n\n` : ''
    for (const item of items) text += `event: record\nid: ${item.id}\ndata: ${JSON.stringify(item)}\n\n`
    if (text !== '') this.#write(text)
    else if (performance.now() - this.#wroteAt > heartbeatMs) this.#write(': still here\n\n')
  }

  #write (text: string): void {
    if (this.#ended) return
    this.#wroteAt = performance.now()
    this.#response.write(text)
  }

  readonly end = (): void => {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#timer)
    this.#response.end()
  }
}
