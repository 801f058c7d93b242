import type { EventLog } from './event-log.ts'
import type { Sharing } from './sharing.ts'
import type { StateMap } from './state-journal.ts'

export interface SuccessionParts {
  state: StateMap
  log: Pick<EventLog, 'head' | 'idOf' | 'positionOf'>
  sharing: Pick<Sharing, 'isShared' | 'instance' | 'lease' | 'isBroughtOut' | 'ready' | 'catchUp' | 'publish'>
  /** The API may be sending to a socket of this instance. */
  isReceiving: () => boolean
  /** The holder before has ended with what it had received. */
  holderLost: () => void
  /** Longest wait, at the beginning, until it is known where the log stands. */
  readyMs: number
}

/** Who receives what the API sends. */
interface Receiver {
  by: string
  /** An id of the log of that time. In another log there is a gap anyway; and an instance may have kept this from long ago. */
  since: string
}

const key = 'receiver'

/**
 * To the API an event is delivered once it is sent: with an instance that is killed goes what it had received and not passed on. So a
 * holder writes down that it receives before it dials, and strikes that out only when its socket is closed and all that it received is
 * on the log. A successor that still finds it says that events may be missing.
 */
export class Succession {
  readonly #parts: SuccessionParts
  /** Counts the times that this instance came to hold the channel. */
  #term = 0
  /** What the holder before has left is seen to. */
  #begun = false
  #beginning: Promise<void> = Promise.resolve()

  constructor (parts: SuccessionParts) { this.#parts = parts }

  /** This instance has come to hold the channel. */
  begin (): void {
    if (this.#parts.sharing.isShared) this.#beginning = this.#begin(++this.#term)
  }

  /** Another holds it. */
  end (): void {
    this.#term++
    this.#begun = false
  }

  /** Resolves when this instance may receive: the gap that it owes stands before that, and the others know of it, as far as can be. */
  async ready (): Promise<void> {
    await this.#beginning
    await this.#parts.sharing.publish()
  }

  /** Called often. It mends, too, what one writes down late that was paused or cut off, and what Redis forgets. */
  note (): void {
    const { state, log, sharing, isReceiving } = this.#parts
    if (!this.#begun || !sharing.lease.confirmed) return
    const receiver = state.get(key) as Receiver | undefined
    const receives = isReceiving() || !sharing.isBroughtOut
    if (!receives && receiver !== undefined) state.delete(key)
    if (receives && !(receiver?.by === sharing.instance && this.#isOfThisLog(receiver))) state.set(key, { by: sharing.instance, since: log.idOf(log.head) })
  }

  async #begin (term: number): Promise<void> {
    const { state, sharing, readyMs, holderLost } = this.#parts
    // One that stopped in good order has struck itself out before it let go, which may not have been read here yet.
    await sharing.catchUp()
    const logIsKnown = await sharing.ready(readyMs)
    if (term !== this.#term) return
    const receiver = state.get(key) as Receiver | undefined
    if (receiver !== undefined && receiver.by !== sharing.instance && (this.#isOfThisLog(receiver) || !logIsKnown)) holderLost()
    this.#begun = true
    this.note()
  }

  #isOfThisLog ({ since }: Receiver): boolean { return this.#parts.log.positionOf(since) !== undefined }
}
