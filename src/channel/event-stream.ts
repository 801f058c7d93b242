import { Readable } from 'node:stream'
import type { EndReason, Listener } from './fan-out.ts'
import type { Delivery, LogReader } from './log-reader.ts'
import type { ListenerLimits } from './websocket-listener.ts'

/** Comments keep idle connections open through intermediaries, and show us those that are gone. */
const heartbeatMs = 15_000
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
  readonly #limits: ListenerLimits
  readonly #wake: (listener: Listener) => void
  #wanted = false
  #blocked = false
  #sentAt = 0
  #stalledSince: number | undefined
  #isPrivate = false
  overflowed = false

  constructor (memberName: string, reader: LogReader, idOf: (position: number) => string, limits: ListenerLimits, wake: (listener: Listener) => void) {
    super({ highWaterMark: limits.maxBufferedBytes })
    this.memberName = memberName
    this.#reader = reader
    this.#idOf = idOf
    this.#limits = limits
    this.#wake = wake
    this.push(`retry: ${retryMs}\n\n`)
  }

  get ownBytes (): number { return this.#isPrivate ? this.readableLength : 0 }

  override _read (): void {
    this.#wanted = true
    this.#blocked = false
    this.#stalledSince = undefined
    if (this.#reader.isBehind) this.#wake(this)
  }

  deliver (): boolean {
    if (!this.#wanted || this.destroyed) return false
    const delivery = this.#reader.next()
    if (delivery === undefined) return false
    this.#send(format(delivery, this.#idOf(delivery.position)))
    this.#isPrivate = delivery.kind === 'event' && delivery.isPrivate
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
    if (this.#blocked) {
      this.#stalledSince ??= now
      if (now - this.#stalledSince >= this.#limits.stallMs) this.end('stalled')
    } else if (this.#wanted && now - this.#sentAt >= heartbeatMs) this.#send(': \n\n')
  }

  /** Ends cleanly where the reader may come back and go on; there is no close code to say why. */
  end (reason: EndReason): void {
    this.overflowed = reason === 'stalled'
    if (this.overflowed) this.destroy()
    else this.push(null)
    this.#wanted = false
  }

  #send (text: string | Buffer): void {
    this.#sentAt = performance.now()
    this.#wanted = this.push(text)
    this.#blocked = !this.#wanted
  }
}

function format (delivery: Delivery, id: string): Buffer | string {
  if (delivery.kind === 'gap') return formatGap(id, delivery.reason)
  return Buffer.concat([Buffer.from(`id: ${id}\n`), dataLines(delivery.bytes), Buffer.from('\n\n')])
}

function formatGap (id: string, reason: string): string {
  return `id: ${id}\nevent: gap\ndata: ${JSON.stringify({ reason })}\n\n`
}

/** Line breaks between tokens are legal JSON; in an event stream each line is a `data` field of its own. */
function dataLines (bytes: Buffer): Buffer {
  if (!bytes.includes(0x0a) && !bytes.includes(0x0d)) return Buffer.concat([Buffer.from('data: '), bytes])
  return Buffer.from(bytes.toString().split(/\r\n|\r|\n/).map(line => `data: ${line}`).join('\n'))
}
