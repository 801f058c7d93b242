import type { FastifyBaseLogger } from 'fastify'
import type { FleetService } from '../../decorations.ts'
import type { ChannelLimits } from '../limits.ts'
import type { Lease } from '../lease.ts'
import type { Places } from '../places.ts'
import type { Sharing } from '../sharing.ts'
import type { StateMap } from '../state-journal.ts'
import type { Turns } from '../turns.ts'
import type { VirtualChannels } from '../virtual-channels.ts'
import { RedisLease } from './redis-lease.ts'
import { SharedLog } from './shared-log.ts'
import { SharedPlaces } from './shared-places.ts'
import { SharedState } from './shared-state.ts'
import { SharedTurns } from './shared-turns.ts'
import { StreamReader, type Entry } from './stream-reader.ts'

export interface FleetSharingOptions {
  fleet: FleetService
  /** Where the state is kept over the end of the process, in case Redis forgets. */
  local: StateMap
  replayBytes: number
  limits: ChannelLimits
  logger: FastifyBaseLogger
}

/** Longest wait for what the others have, at start; then the room begins without. */
const startMs = 2_000
/** While the channel is needed here, the others hear of it this often. */
const tellMs = 5_000
/** Longest wait, at the end, for Redis to take what is held. */
const stopMs = 2_000
/** Once Redis is back, every instance has told what it had to tell after this long. */
const settledMs = 10_000
const reachMs = 1_000

/** The room's parts that several instances have in common, by way of Redis. */
export class FleetSharing implements Sharing {
  readonly isShared = true
  readonly state: SharedState
  readonly log: SharedLog
  readonly lease: Lease
  readonly turns: Turns
  readonly #options: FleetSharingOptions
  readonly #reader: StreamReader
  readonly #redisLease: RedisLease
  #places: SharedPlaces | undefined
  #wanted: () => void = () => {}
  #toldAt = -Infinity
  #changedAt = performance.now()

  constructor (options: FleetSharingOptions) {
    const { fleet, local, replayBytes, limits } = options
    this.#options = options
    this.#reader = new StreamReader(fleet)
    this.lease = this.#redisLease = new RedisLease(fleet)
    this.state = new SharedState(fleet, local, this.#reader, entry => this.#hear(entry))
    this.turns = new SharedTurns(fleet, () => this.catchUp(), () => this.publish())
    this.log = new SharedLog({ fleet, reader: this.#reader, limits: { maxBytes: replayBytes, maxAgeMs: limits.replayMs }, uids: limits.uids, isHolder: () => this.lease.confirmed })
    fleet.onChange(up => {
      this.#changedAt = performance.now()
      if (up) void this.#join()
    })
  }

  get instance (): string { return this.#options.fleet.instance }

  get up (): boolean { return this.#options.fleet.up }

  get isSettled (): boolean { return this.up && performance.now() - this.#changedAt >= settledMs }

  /** Takes over what the others have, before anybody is served. */
  async start (): Promise<void> {
    this.log.start()
    if (!this.up) return
    await Promise.race([this.#join(), new Promise(resolve => setTimeout(resolve, startMs).unref())])
  }

  makePlaces (channels: VirtualChannels): Places {
    this.#places = new SharedPlaces(this.#options.fleet, channels, this.log)
    this.#places.start()
    return this.#places
  }

  tellWanted (): void {
    const now = performance.now()
    if (now - this.#toldAt < tellMs || !this.up) return
    this.#toldAt = now
    const { redis, key, instance } = this.#options.fleet
    redis.xadd(key('channel:changes'), 'MAXLEN', '~', 20_000, '*', 'wanted', instance).catch(() => { this.#toldAt = -Infinity })
  }

  onWanted (listener: () => void): void { this.#wanted = listener }

  ready (timeoutMs: number): Promise<boolean> { return this.log.ready(timeoutMs) }

  /** There may be no log yet, or one to mend. */
  begin (): void { void this.log.look() }

  async publish (): Promise<void> {
    await Promise.race([this.state.flush(), new Promise(resolve => setTimeout(resolve, reachMs).unref())])
  }

  async catchUp (): Promise<void> {
    const { redis, key } = this.#options.fleet
    const changes = key('channel:changes')
    const [[last] = []] = await redis.xrevrange(changes, '+', '-', 'COUNT', 1).catch(() => [])
    if (last !== undefined) await this.#reader.reach(changes, last, reachMs)
  }

  get isBroughtOut (): boolean { return this.log.isBroughtOut }

  bringOut (): Promise<void> { return this.log.stop(stopMs) }

  async stop (): Promise<void> {
    await this.publish()
    await this.lease.release()
  }

  /** The very end: the places of the last listeners are written down. */
  async close (): Promise<void> {
    await this.#places?.stop()
    await this.publish()
    await this.#reader.stop()
  }

  describe (): Record<string, unknown> {
    const { behind, held, heldBytes, dropped, whole } = this.log.lag
    return {
      lease: this.lease.confirmed ? 'here' : this.up ? 'elsewhere' : 'unknown',
      holds_lease: this.lease.confirmed ? 1 : 0,
      stream: this.up && whole ? 'whole' : 'away: events are held at the instance that has the channel, and come when Redis is back',
      stream_lag: behind,
      held_events: held,
      held_bytes: heldBytes,
      dropped_events: dropped,
      unwritten_state: this.state.unwritten
    }
  }

  async #join (): Promise<void> {
    try {
      await this.state.sync()
      // What was said before is skipped by that, such as that the holder let go.
      void this.#redisLease.renew()
      await this.log.look()
    } catch {
      // Redis went away again, or has yet to wake up: the next change says so, and the log looks by itself.
      if (this.up) setTimeout(() => { void this.#join() }, 500).unref()
    }
  }

  #hear ({ released, wanted }: Entry): void {
    if (released !== undefined && released !== this.instance) void this.#redisLease.takeOver()
    if (wanted !== undefined && wanted !== this.instance) this.#wanted()
  }
}
