import type { Member } from '../decorations.ts'
import { encode, isAwaited, type EventLog, type GapReason, type LoggedEvent } from './event-log.ts'
import { convertRemovals, filterMessage } from './message.ts'

/** What a member may see, as the team's policy has it at the moment of delivery. */
export interface Sight {
  /** No rule narrows the member's devices, so none need be looked up. */
  seesAllDevices (member: Member): boolean
  maySeeDevice (member: Member, deviceId: string): boolean
}

export type Delivery =
  | { kind: 'event', position: number, bytes: Buffer, isPrivate: boolean }
  | { kind: 'gap', position: number, reason: GapReason }

/** Messages in the other form of removals, made once for all who want that form. */
const converted = [new WeakMap<LoggedEvent, Buffer>(), new WeakMap<LoggedEvent, Buffer>()] as const

/** One listener's way through the log: what is for its member, in order, and where something is missing. */
export class LogReader {
  readonly #log: EventLog
  readonly #sight: Sight
  readonly #member: Member
  readonly #removalsAsObjects: boolean
  /** The last position that was read. */
  position: number

  constructor (log: EventLog, sight: Sight, member: Member, removalsAsObjects: boolean, position: number) {
    this.#log = log
    this.#sight = sight
    this.#member = member
    this.#removalsAsObjects = removalsAsObjects
    this.position = position
  }

  get isBehind (): boolean { return this.position < this.#log.head }

  next (): Delivery | undefined {
    while (this.position < this.#log.head) {
      // A position before the first held event means that the log has moved on without this reader.
      if (this.position + 1 < this.#log.first) {
        this.position = this.#log.first - 1
        return { kind: 'gap', position: this.position, reason: 'overflow' }
      }
      const event = this.#log.at(++this.position) as LoggedEvent
      const delivery = this.#view(event)
      if (delivery) return delivery
    }
    return undefined
  }

  #view (event: LoggedEvent): Delivery | undefined {
    const { position } = event
    if (event.gap !== null) return { kind: 'gap', position, reason: event.gap }
    if (isAwaited(event)) return undefined
    if (event.to !== null) return event.to === this.#member.name ? { kind: 'event', position, bytes: event.bytes, isPrivate: true } : undefined
    const bytes = convert(event, this.#removalsAsObjects)
    if (this.#sight.seesAllDevices(this.#member)) return { kind: 'event', position, bytes, isPrivate: false }
    const visible = filterMessage(bytes.toString(), device => this.#sight.maySeeDevice(this.#member, device))
    return visible === null ? undefined : { kind: 'event', position, bytes: Buffer.from(visible), isPrivate: true }
  }
}

function convert (event: LoggedEvent, asObjects: boolean): Buffer {
  const known = converted[asObjects ? 1 : 0]
  let bytes = known.get(event)
  if (bytes === undefined) known.set(event, bytes = holdsRemovals(event) ? encode(convertRemovals(event.bytes.toString(), asObjects)) : event.bytes)
  return bytes
}

function holdsRemovals ({ bytes }: LoggedEvent): boolean {
  return bytes.includes('de-registrations') || bytes.includes('registrations-expired')
}
