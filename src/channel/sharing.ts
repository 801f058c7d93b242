import type { EventLog } from './event-log.ts'
import { LocalLease, type Lease } from './lease.ts'
import { LocalPlaces, type Places } from './places.ts'
import { LocalTurns, type Turns } from './turns.ts'
import type { VirtualChannels } from './virtual-channels.ts'

/** What the room needs of the other instances, or does without when it is alone. */
export interface Sharing {
  readonly isShared: boolean
  /** Of this process. */
  readonly instance: string
  /** What is shared can be had now. */
  readonly up: boolean
  /** And has been for so long that everybody knows everything. */
  readonly isSettled: boolean
  readonly lease: Lease
  readonly turns: Turns
  makePlaces (channels: VirtualChannels): Places
  /** Somebody here needs the upstream channel; called often while that is so. */
  tellWanted (): void
  /** Somebody at another instance does. */
  onWanted (listener: () => void): void
  /** Resolves once it is known where the log stands, to `false` if it isn't in time. */
  ready (timeoutMs: number): Promise<boolean>
  /** The others have everything that was appended to the log here. */
  readonly isBroughtOut: boolean
  /** This instance has come to hold the channel. */
  begin (): void
  /** What was changed here before is known to all, as far as can be. */
  publish (): Promise<void>
  /** What others changed before is known here, as far as can be. */
  catchUp (): Promise<void>
  /** What the others don't have yet is brought out, as far as can be. */
  bringOut (): Promise<void>
  /** The lease is given back. */
  stop (): Promise<void>
  /** For `status`. */
  describe (): Record<string, unknown>
}

/** A single instance: everything in its own memory. */
export function beAlone (log: EventLog): Sharing {
  return {
    isShared: false,
    instance: 'alone',
    up: true,
    isSettled: true,
    lease: new LocalLease(),
    turns: new LocalTurns(),
    makePlaces: channels => new LocalPlaces(channels, log),
    tellWanted () {},
    onWanted () {},
    ready: () => Promise.resolve(true),
    isBroughtOut: true,
    begin () {},
    publish: () => Promise.resolve(),
    catchUp: () => Promise.resolve(),
    bringOut: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    describe: () => ({})
  }
}
