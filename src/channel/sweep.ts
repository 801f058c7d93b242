import type { AnswerRouting } from './answer-routing.ts'
import type { AsyncIds } from './async-ids.ts'
import type { EarlyAnswers } from './early-answers.ts'
import { findAwaited, type EventLog } from './event-log.ts'
import type { FanOut } from './fan-out.ts'
import type { Sharing } from './sharing.ts'
import type { VirtualChannels } from './virtual-channels.ts'

export interface SweepParts {
  log: EventLog
  sharing: Pick<Sharing, 'isSettled' | 'up' | 'lease'>
  /** Bytes that listeners' own messages may take. */
  ownBytes: number
  early: EarlyAnswers
  routing: AnswerRouting
  ids: AsyncIds
  channels: VirtualChannels
  fanOut: FanOut
  /** This instance holds the upstream channel. */
  holds: () => boolean
  /** Whatever else is to be done as often. */
  swept: () => void
}

const sweepMs = 250
const sweepsPerMinute = 240

/** What has to be done every so often, whether anything comes or not: what waited too long goes on, what is too old goes. */
export class Sweep {
  readonly #parts: SweepParts
  #timer: NodeJS.Timeout | undefined
  #sweeps = 0

  constructor (parts: SweepParts) {
    this.#parts = parts
  }

  start (): void {
    this.#timer = setInterval(() => this.#run(Date.now()), sweepMs)
  }

  stop (): void { clearInterval(this.#timer) }

  #run (nowMs: number): void {
    const { log, sharing, early, routing, fanOut, holds, ownBytes, swept } = this.#parts
    // A request of another instance may become known only when Redis is back.
    if (sharing.isSettled) early.expire(nowMs)
    // Not by one that was held still or cut off: another may have delivered them meanwhile.
    if (holds() && sharing.up && sharing.lease.confirmed) routing.deliverLeft(nowMs, upstreamId => findAwaited(log, upstreamId))
    fanOut.tick(nowMs)
    fanOut.limitOwnBytes(ownBytes)
    if (++this.#sweeps % sweepsPerMinute === 0) this.#expire(nowMs)
    swept()
  }

  #expire (nowMs: number): void {
    const { ids, channels, log } = this.#parts
    ids.expire(nowMs)
    channels.expire(nowMs)
    log.expire()
  }
}
