import type { FleetService } from '../../decorations.ts'
import { writeEntry } from './event-entry.ts'
import type { HeldEvent, HeldEvents } from './held-events.ts'
import { appendScript } from './stream-scripts.ts'

/** The stream as this instance sees it. */
export interface SeenStream {
  readonly epoch: string
  readonly first: number
  /** The newest position known to be in the stream. */
  readonly known: number
  /** Is it what it was when last looked at? */
  readonly whole: boolean
  /** Reads up to the newest position known. @throws if that takes too long */
  catchUp (): Promise<void>
  noteWritten (head: number): void
  /** Others have written, too, up to there. */
  noteOvertaken (head: number): void
  /** It is not what it was. */
  noteLost (): void
}

interface Options {
  fleet: Pick<FleetService, 'redis' | 'up'>
  /** Of epoch, head and events. */
  keys: [string, string, string]
  held: HeldEvents
  stream: SeenStream
  /** Takes out of a text what others have brought. `null` = nothing is left. */
  dropKnown: (text: string) => string | null
}

const maxBatchBytes = 1024 * 1024
const maxBatch = 200
/** Writes whose answers are not waited for. */
const maxUnderWay = 32
const againMs = 100

/**
 * Brings events into the stream the moment they are there: what waits in this process is lost if it is killed. So it doesn't
 * wait for the answer to one write before the next; each write only takes effect right behind the one before.
 */
export class StreamWriter {
  readonly #options: Options
  #underWay = 0
  /** Where the next write goes if all before it succeed; -1 = to be found out. */
  #next = -1
  #lastMark = ''
  #trouble: 'none' | 'unknown' | 'overtaken' | 'lost' = 'none'
  #aligning = false

  constructor (options: Options) {
    this.#options = options
  }

  write (): void {
    if (!this.#isReady) return
    // Somebody else has written, or this is the first: that is read before.
    if (this.#underWay === 0 && this.#options.stream.known !== this.#next) void this.#align(false)
    else this.#sendAll()
  }

  get #isReady (): boolean {
    const { fleet, held, stream } = this.#options
    return !this.#aligning && this.#trouble === 'none' && stream.whole && fleet.up && held.size > 0
  }

  #sendAll (): void {
    while (this.#isReady && this.#underWay < maxUnderWay) {
      const batch = this.#options.held.take(maxBatchBytes, maxBatch)
      if (batch.length === 0) return
      void this.#send(batch)
    }
  }

  async #send (batch: HeldEvent[]): Promise<void> {
    const { fleet: { redis }, keys, stream: { epoch, first } } = this.#options
    const words = [epoch, this.#next, `${first}-0`, this.#lastMark, ...batch.flatMap(writeEntry)]
    this.#next += batch.length
    this.#lastMark = (batch.at(-1) as HeldEvent).mark
    this.#underWay++
    try {
      this.#take(await redis.eval(appendScript, keys.length, ...keys, ...words) as [number, string])
    } catch {
      // Whether Redis has it is seen on the stream; if not, it is written again.
      if (this.#trouble === 'none') this.#trouble = 'unknown'
    }
    this.#underWay--
    if (this.#trouble === 'none') this.#sendAll()
    else if (this.#underWay === 0) this.#recover()
  }

  #take ([state, head]: [state: number, head: string]): void {
    const { stream } = this.#options
    if (state === 1) return stream.noteWritten(Number(head))
    if (state === -1 || Number(head) < stream.known) this.#trouble = 'lost'
    else if (this.#trouble !== 'lost') this.#trouble = 'overtaken'
    if (this.#trouble === 'overtaken') stream.noteOvertaken(Number(head))
  }

  /** Everything under way has come to an end, one way or another. */
  #recover (): void {
    const { held, stream } = this.#options
    const trouble = this.#trouble
    this.#trouble = 'none'
    this.#next = -1
    if (trouble === 'overtaken') return void this.#align(true)
    held.recall()
    if (trouble === 'lost') stream.noteLost()
    else this.#writeLater()
  }

  /** What was written before has to be seen first, or it would be written again. What another has brought already is left out. */
  async #align (isOvertaken: boolean): Promise<void> {
    const { held, stream, dropKnown } = this.#options
    this.#aligning = true
    try {
      await stream.catchUp()
      held.recall()
      if (isOvertaken) held.rewrite(dropKnown)
      this.#next = stream.known
      this.#lastMark = ''
    } catch {
      held.recall()
      this.#writeLater()
    } finally {
      this.#aligning = false
    }
    if (this.#next === stream.known) this.#sendAll()
  }

  #writeLater (): void {
    setTimeout(() => this.write(), againMs).unref()
  }
}
