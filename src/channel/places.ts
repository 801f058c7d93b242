import type { EventLog } from './event-log.ts'
import type { VirtualChannel, VirtualChannels } from './virtual-channels.ts'

/** One connection's place in the log. */
export interface Place {
  /** Where it begins: the last position that needn't be heard again. */
  readonly position: number
  /** From now on asked where the next connection would go on, if this one broke off. */
  follow (arrived: () => number): void
  /** The connection has ended, having surely got everything up to `position`. */
  leave (position: number): void
}

/** Where each virtual channel's next connection goes on. Several instances keep this in common (`shared/shared-places.ts`). */
export interface Places {
  /** The channel has been registered: what comes from now on is for it. */
  begin (channel: VirtualChannel): void
  /** A connection begins. Resolves to `undefined` when `gone` is set first; `busy` when there may be only one and one is open. */
  take (channel: VirtualChannel, options: { only: boolean, gone: AbortSignal }): Promise<Place | 'busy' | undefined>
  look (channel: VirtualChannel): Promise<{ connected: boolean, queued: number }>
  /** The member deleted the channel. */
  forget (channel: VirtualChannel): void
}

/** For a single instance: in its memory. */
export class LocalPlaces implements Places {
  readonly #channels: VirtualChannels
  readonly #log: Pick<EventLog, 'head'>

  constructor (channels: VirtualChannels, log: Pick<EventLog, 'head'>) {
    this.#channels = channels
    this.#log = log
  }

  begin (): void {}

  take (channel: VirtualChannel, { only }: { only: boolean }): Promise<Place | 'busy'> {
    if (only && channel.open > 0) return Promise.resolve('busy')
    const position = this.#channels.attach(channel, this.#log.head, Date.now())
    return Promise.resolve({ position, follow () {}, leave: position => this.#channels.detach(channel, position, Date.now()) })
  }

  look (channel: VirtualChannel): Promise<{ connected: boolean, queued: number }> {
    return Promise.resolve({ connected: channel.open > 0, queued: this.#channels.queued(channel, this.#log.head) })
  }

  forget (): void {}
}
