import type { FleetService } from '../decorations.ts'
import { LimitsSession, stranger, type Acquaintance, type Verdict } from './limits-session.ts'
import type { KeyLimits } from './limits.ts'

interface Options {
  fleet: Pick<FleetService, 'redis' | 'key' | 'instance' | 'up' | 'size'>
  key: () => KeyLimits
  /** Would grants by other instances be heard? */
  isListening: () => boolean
  /** Resolves to false when Redis doesn't answer. Comes before each session. */
  prepare: () => Promise<boolean>
  /** What is told here goes with the session's first words. */
  onJoining: (session: LimitsSession) => void
  onJoined: (session: LimitsSession) => void
  onLost: (reason: string) => void
  onVerdict: (id: number, verdict: Verdict, figure: number) => void
  onAnswered: (ids: number[], keyTokens: number) => void
}

/** Is this instance in touch with Redis, and if not, what did it know last? */
export class FleetSessions {
  readonly #options: Options
  #session: LimitsSession | undefined
  #known: Acquaintance = stranger
  #joining = false
  #beats = 0
  /** Why there is none, in a word. */
  failure = 'not joined yet'

  constructor (options: Options) {
    this.#options = options
  }

  /** The one that has begun, or is about to. */
  get current (): LimitsSession | undefined { return this.#session }
  get joined (): boolean { return this.#session?.joined === true }
  /** `-` = there was none yet. */
  get id (): string { return this.#known.session }

  /** Instances, this one included. Before Redis was heard for the first time, as many as there were when this instance last ran. */
  get size (): number {
    const { instances, buckets } = this.joined ? (this.#session as LimitsSession).known : this.#known
    return buckets === stranger.buckets ? Math.max(this.#options.fleet.size, instances) : instances
  }

  /** What the process before this one left behind. */
  restore (session = stranger.session, instances = 1): void {
    this.#known = { ...stranger, session, instances }
  }

  /** Every second: tries to begin a session if there is none. */
  async beat (): Promise<void> {
    const { fleet, isListening, prepare } = this.#options
    if (this.#session !== undefined) {
      if (++this.#beats % 60 === 0) this.#session.tell('e')
      return
    }
    if (this.#joining || !fleet.up || !isListening()) return
    this.#joining = true
    if (await prepare()) await this.#join()
    this.#joining = false
  }

  /** Redis asks to be told anew, or grants may have been missed. */
  restart (): void {
    this.#session?.end()
    this.#lose('not listening')
  }

  async leave (): Promise<void> {
    await this.#session?.leave()
    this.#session = undefined
  }

  async #join (): Promise<void> {
    const { onJoining, onJoined, onVerdict, onAnswered, fleet, key } = this.#options
    const session = new LimitsSession({ earlier: this.#known, fleet, key, onVerdict, onAnswered, onLost: reason => this.#lose(reason) })
    this.#session = session
    this.#known = { ...this.#known, session: session.id }
    onJoining(session)
    session.tell('e')
    if (await session.join()) onJoined(session)
  }

  #lose (reason: string): void {
    this.failure = reason
    const session = this.#session
    this.#session = undefined
    if (session === undefined || this.#joining) return
    this.#known = session.known
    this.#options.onLost(reason)
  }
}
