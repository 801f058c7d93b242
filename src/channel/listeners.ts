import type { Member, TeamService } from '../decorations.ts'
import type { Demand } from './demand.ts'
import { FanOut, type Listener } from './fan-out.ts'
import type { VirtualChannel } from './virtual-channels.ts'

/** Who listens, and to which virtual channel. While anybody does, the upstream channel is wanted. */
export class Listeners {
  readonly fanOut = new FanOut()
  readonly #team: Pick<TeamService, 'onRevoked'>
  readonly #demand: Demand
  readonly #byChannel = new Map<VirtualChannel, Set<Listener>>()
  /** Listeners that were too slow, since the start. */
  stalled = 0

  constructor (team: Pick<TeamService, 'onRevoked'>, demand: Demand) {
    this.#team = team
    this.#demand = demand
  }

  /** From here on the listener hears the log, until the returned function is called. */
  add (listener: Listener, member: Member, channel: VirtualChannel | undefined): () => void {
    const forget = this.#team.onRevoked(member, () => listener.end('revoked'))
    if (channel) this.#siblings(channel).add(listener)
    this.#demand.hold()
    this.fanOut.add(listener)
    return () => {
      forget()
      if (channel) this.#leave(channel, listener)
      this.fanOut.remove(listener)
      if (listener.overflowed) this.stalled++
      this.#demand.release(Date.now())
    }
  }

  /** The member deleted the channel. */
  endAll (channel: VirtualChannel): void {
    for (const listener of this.#byChannel.get(channel) ?? []) listener.end('deleted')
  }

  #siblings (channel: VirtualChannel): Set<Listener> {
    const siblings = this.#byChannel.get(channel) ?? new Set<Listener>()
    this.#byChannel.set(channel, siblings)
    return siblings
  }

  #leave (channel: VirtualChannel, listener: Listener): void {
    const siblings = this.#siblings(channel)
    siblings.delete(listener)
    if (siblings.size === 0) this.#byChannel.delete(channel)
  }
}
