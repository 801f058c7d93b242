import { errors } from './answer.ts'
import type { Mechanism } from './channel.ts'
import { Channel } from './channel.ts'
import type { ChannelEvent, Serialization } from './event-queue.ts'
import type { Identifiers } from './identifiers.ts'
import type { Settled } from './options.ts'
import type { Timers } from './timers.ts'

const daySeconds = 86_400

export type NewEvent = Pick<ChannelEvent, 'kind' | 'item' | 'originalEndpoint'>

/** All notification channels: one a scope, a scope being an application (all its keys) or an old API key. */
export class Channels {
  readonly #channels = new Map<string, Channel>()
  readonly #expiries = new Map<string, () => void>()
  readonly #options: Settled
  readonly #timers: Timers
  readonly #ids: Identifiers

  constructor (options: Settled, timers: Timers, ids: Identifiers) {
    this.#options = options
    this.#timers = timers
    this.#ids = ids
  }

  get (scope: string): Channel | undefined { return this.#channels.get(scope) }

  get all (): Iterable<[scope: string, channel: Channel]> { return this.#channels }

  /** The channel of that kind: the one that is there, or a new one. 400 when one of another kind is. */
  open (scope: string, mechanism: Mechanism, serialization: Serialization): { channel: Channel, created: boolean } {
    const present = this.#channels.get(scope)
    if (present !== undefined && present.mechanism !== mechanism) throw errors.badRequest('Other type of channel already exists.')
    if (present !== undefined) return { channel: present, created: false }
    const channel = new Channel(mechanism, serialization, { timers: this.#timers, ...this.#options })
    this.#channels.set(scope, channel)
    this.touch(scope)
    return { channel, created: true }
  }

  find (scope: string, mechanism: Mechanism, missing: string): Channel {
    const channel = this.#channels.get(scope)
    if (channel?.mechanism !== mechanism) throw errors.notFound(missing)
    return channel
  }

  /** Deletes the channel with its queue, and closes what is connected to it. */
  delete (scope: string, code = 1000, reason = 'Channel deleted'): boolean {
    const channel = this.#channels.get(scope)
    if (channel === undefined) return false
    this.#channels.delete(scope)
    this.#expiries.get(scope)?.()
    this.#expiries.delete(scope)
    channel.close(code, reason)
    return true
  }

  /** Starts its life anew: a day for a WebSocket channel without a socket, ten minutes for one that nobody polls. Call it when somebody comes or goes. */
  touch (scope: string): void {
    this.#expiries.get(scope)?.()
    const mechanism = this.#channels.get(scope)?.mechanism
    if (mechanism === undefined || mechanism === 'CALLBACK') return
    const seconds = mechanism === 'WEB_SOCKET' ? daySeconds : 600
    this.#expiries.set(scope, this.#timers.after(seconds * this.#options.secondMs, () => {
      if (this.#channels.get(scope)?.sink === undefined) this.delete(scope)
      else this.touch(scope)
    }))
  }

  push (scope: string, event: NewEvent): void {
    this.#channels.get(scope)?.push({ ...event, uid: this.#ids.next(), timestamp: Date.now() })
  }

  /** Registrations concern every application of the account. */
  broadcast (event: NewEvent): void {
    for (const scope of this.#channels.keys()) this.push(scope, event)
  }

  closeAll (): void {
    for (const scope of [...this.#channels.keys()]) this.delete(scope, 1001, 'Going away')
  }
}
