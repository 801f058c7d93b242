import type { Redis } from 'ioredis'
import type { FleetService } from '../decorations.ts'

interface SubscriptionOptions {
  fleet: Pick<FleetService, 'connect'>
  /** What to do with messages, by channel. */
  channels: Record<string, (message: string) => void>
  /** Messages come from now on; earlier ones were missed. */
  onBegin: () => void
  onEnd: () => void
}

/** Hears what other instances say, for as long as the connection holds. It comes back by itself. */
export class FleetSubscription {
  readonly #redis: Redis
  readonly #options: SubscriptionOptions
  listening = false

  constructor (options: SubscriptionOptions) {
    this.#options = options
    this.#redis = options.fleet.connect()
    this.#redis.on('message', (channel, message) => options.channels[channel]?.(message))
    this.#redis.on('ready', () => { void this.#begin() })
    this.#redis.on('close', () => this.#end())
    if (this.#redis.status === 'ready') void this.#begin()
  }

  close (): void {
    this.#end()
    this.#redis.disconnect()
  }

  async #begin (): Promise<void> {
    try {
      await this.#redis.subscribe(...Object.keys(this.#options.channels))
    } catch {
      // The connection broke again; the next one begins anew.
      return
    }
    this.listening = true
    this.#options.onBegin()
  }

  #end (): void {
    if (!this.listening) return
    this.listening = false
    this.#options.onEnd()
  }
}
