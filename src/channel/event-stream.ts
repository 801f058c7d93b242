import { Readable } from 'node:stream'
import type { EndReason, Listener } from './fan-out.ts'
import type { LogReader } from './log-reader.ts'
import { StallWatch } from './stall-watch.ts'
import type { ListenerLimits } from './websocket-listener.ts'

/** Comments keep idle connections open through intermediaries, and show us those that are gone. */
const heartbeatMs = 15_000
const maxPieceBytes = 64 * 1024
/** What a browser waits before it connects again. */
const retryMs = 2_000

/**
 * The channel as an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html): `message` events with the
 * API's messages as data, `gap` events where something is missing, `channel` events when the upstream connection changes.
 */
export class EventStream extends Readable implements Listener {
  readonly kind = 'event_stream'
  readonly memberName: string
  readonly #reader: LogReader
  readonly #idOf: (position: number) => string
  readonly #wake: (listener: Listener) => void
  #wanted = false
  #blocked = false
  #sentAt = 0
  readonly #stall: StallWatch
  #isPrivate = false
  overflowed = false

  constructor (memberName: string, reader: LogReader, idOf: (position: number) => string, limits: ListenerLimits, wake: (listener: Listener) => void) {
    super({ highWaterMark: limits.maxBufferedBytes })
    this.memberName = memberName
    this.#reader = reader
    this.#idOf = idOf
    this.#stall = new StallWatch(limits.stallMs)
    this.#wake = wake
    // The id at once: whoever is cut off before the first event comes back to where it began.
    this.push(`retry: ${retryMs}\nid: ${idOf(reader.position)}\n\n`)
  }

  get ownBytes (): number { return this.#isPrivate ? this.readableLength : 0 }

  override _read (): void {
    this.#wanted = true
    this.#blocked = false
    if (this.#reader.isBehind) this.#wake(this)
  }

  deliver (): boolean {
    if (!this.#wanted || this.destroyed) return false
    const delivery = this.#reader.next()
    if (delivery === undefined) return false
    const id = this.#idOf(delivery.position)
    this.#isPrivate = delivery.kind === 'event' && delivery.isPrivate
    if (delivery.kind === 'gap') this.#send(formatGap(id, delivery.reason))
    else this.#sendMessage(id, dataOf(delivery.bytes))
    return this.#wanted
  }

  /** Not an event of the log: it has no id, and a reader that is behind does without it. */
  announce (name: string, data: unknown): void {
    if (!this.#blocked && !this.destroyed) this.#send(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  /** A gap that the log doesn't know of: what this reader had last was not in this log. */
  gap (position: number, reason: string): void {
    this.#send(formatGap(this.#idOf(position), reason))
  }

  tick (): void {
    const now = performance.now()
    if (this.destroyed) return
    if (this.#stall.isStalled(this.#blocked ? this.readableLength : 0, now)) this.end('stalled')
    else if (this.#wanted && now - this.#sentAt >= heartbeatMs) this.#send(': \n\n')
  }

  /** Ends cleanly where the reader may come back and go on; there is no close code to say why. */
  end (reason: EndReason): void {
    this.overflowed = reason === 'stalled'
    if (this.overflowed) this.destroy()
    else this.push(null)
    this.#wanted = false
  }

  /** A large message goes in pieces of the log's own bytes: nothing is copied, and a slow reader's progress is seen. */
  #sendMessage (id: string, data: Buffer): void {
    if (data.length <= maxPieceBytes) return this.#send(Buffer.concat([Buffer.from(`id: ${id}\ndata: `), data, Buffer.from('\n\n')]))
    this.push(`id: ${id}\ndata: `)
    for (let start = 0; start < data.length; start += maxPieceBytes) this.push(data.subarray(start, start + maxPieceBytes))
    this.#send('\n\n')
  }

  #send (text: string | Buffer): void {
    this.#sentAt = performance.now()
    this.#wanted = this.push(text)
    this.#blocked = !this.#wanted
  }
}

function formatGap (id: string, reason: string): string {
  return `id: ${id}\nevent: gap\ndata: ${JSON.stringify({ reason })}\n\n`
}

/** Line breaks between tokens are legal JSON; in an event stream each line is a `data` field of its own. */
function dataOf (bytes: Buffer): Buffer {
  if (!bytes.includes(0x0a) && !bytes.includes(0x0d)) return bytes
  return Buffer.from(bytes.toString().split(/\r\n|\r|\n/).join('\ndata: '))
}
