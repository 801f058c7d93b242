import type { EventLog } from './event-log.ts'
import type { StateMap } from './state-journal.ts'
import type { VirtualChannels } from './virtual-channels.ts'

export interface ResumptionParts {
  state: StateMap
  log: Pick<EventLog, 'head'>
  channels: Pick<VirtualChannels, 'size' | 'allHeard'>
  noteGap: () => void
}

const key = 'heard'

/**
 * The log of a lone proxy is in its memory and ends with it, and with it whatever it held for channels that had not heard it. So a proxy
 * that ends in good order, everything heard, writes that down; the next one that doesn't find it begins its log with a gap, for those
 * who go on there.
 */
export class Resumption {
  readonly #parts: ResumptionParts

  constructor (parts: ResumptionParts) { this.#parts = parts }

  begin (): void {
    const { state, channels, noteGap } = this.#parts
    const heard = state.get(key) === true
    state.delete(key)
    if (!heard && channels.size > 0) noteGap()
  }

  /** The upstream channel is closed, and all listeners have left. */
  end (): void {
    const { state, log, channels } = this.#parts
    if (channels.allHeard(log.head)) state.set(key, true)
  }
}
