/** What waits to be told to an application, and the messages it is told in. Pure. */

export type EventKind = 'notifications' | 'registrations' | 'reg-updates' | 'de-registrations' | 'registrations-expired' | 'async-responses'

export interface ChannelEvent {
  kind: EventKind
  /** As it stands in the message, but for what the channel's configuration adds. */
  item: Record<string, unknown>
  /** The device's own name of itself, for `include_original_ep`. */
  originalEndpoint?: string
  /** For `include_uid`: the same when the event is delivered twice. */
  uid: string
  /** Milliseconds since the epoch, for `include_timestamp`. */
  timestamp: number
}

export interface Serialization {
  maxChunkSize: number
  deregistrationsAsObject: boolean
  includeUid: boolean
  includeTimestamp: boolean
  includeOriginalEp: boolean
}

export type NotificationMessage = Partial<Record<EventKind, unknown[]>>

interface Queued { kind: EventKind, value: unknown, bytes: number }

export class EventQueue {
  readonly #serialization: Serialization
  readonly #maxBytes: number
  #queued: Queued[] = []
  #bytes = 0
  /** Events lost because the queue was full. */
  dropped = 0

  constructor (serialization: Serialization, maxBytes: number) {
    this.#serialization = serialization
    this.#maxBytes = maxBytes
  }

  get length (): number { return this.#queued.length }

  /** Beyond the size limit the oldest events go, as the API's documentation says. */
  push (event: ChannelEvent): void {
    const value = serialize(event, this.#serialization)
    const bytes = Buffer.byteLength(JSON.stringify(value)) + 1
    this.#queued.push({ kind: event.kind, value, bytes })
    this.#bytes += bytes
    while (this.#bytes > this.#maxBytes && this.#queued.length > 1) {
      this.#bytes -= this.#queued.shift()?.bytes ?? 0
      this.dropped++
    }
  }

  /** The next message, as text. What it holds leaves the queue; `putBack` returns it. */
  take (): { text: string, putBack: () => void } | undefined {
    if (this.#queued.length === 0) return undefined
    const taken = this.#queued.splice(0, this.#serialization.maxChunkSize)
    const bytes = taken.reduce((sum, queued) => sum + queued.bytes, 0)
    this.#bytes -= bytes
    const putBack = (): void => {
      this.#queued = [...taken, ...this.#queued]
      this.#bytes += bytes
    }
    return { text: JSON.stringify(group(taken)), putBack }
  }
}

function group (events: Queued[]): NotificationMessage {
  const message: NotificationMessage = {}
  for (const { kind, value } of events) (message[kind] ??= []).push(value)
  return message
}

/** The two kinds of losses are bare device ids unless the channel asked for objects. */
function serialize (event: ChannelEvent, options: Serialization): unknown {
  const loss = event.kind === 'de-registrations' || event.kind === 'registrations-expired'
  if (loss && !options.deregistrationsAsObject) return event.item['ep']
  return {
    ...event.item,
    ...options.includeUid ? { uid: event.uid } : {},
    ...options.includeTimestamp ? { timestamp: event.timestamp } : {},
    ...options.includeOriginalEp && event.originalEndpoint !== undefined ? { 'original-ep': event.originalEndpoint } : {}
  }
}

/** Reads `serialization` of a channel's body. The API's own example sends its numbers and booleans as strings. */
export function readSerialization (value: unknown): Serialization | undefined {
  const { max_chunk_size: size = 10_000, cfg = {}, type = 'v2' } = asObject(value)
  const maxChunkSize = Number(size)
  if (type !== 'v2' || !Number.isInteger(maxChunkSize) || maxChunkSize < 100 || maxChunkSize > 10_000) return undefined
  const flag = (name: string): boolean => ['true', true].includes(asObject(cfg)[name] as string | boolean)
  return {
    maxChunkSize,
    deregistrationsAsObject: flag('deregistrations_as_object'),
    includeUid: flag('include_uid'),
    includeTimestamp: flag('include_timestamp'),
    includeOriginalEp: flag('include_original_ep')
  }
}

export function writeSerialization (options: Serialization): unknown {
  return {
    type: 'v2',
    max_chunk_size: options.maxChunkSize,
    cfg: {
      deregistrations_as_object: options.deregistrationsAsObject,
      include_uid: options.includeUid,
      include_timestamp: options.includeTimestamp,
      include_original_ep: options.includeOriginalEp
    }
  }
}

function asObject (value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? value as Record<string, unknown> : {}
}
