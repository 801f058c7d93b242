import { createEntryMaker, type Clock } from './entry.ts'
import type { Journal } from './journal.ts'
import type { Amendment } from './lines.ts'
import { roundMs } from './closing.ts'
import type { Intent, OpenEntry, Outcome, TrailService } from './record.ts'

const longestMessage = 1000
const longestAgent = 300

export interface RecorderOptions {
  clock: Clock
  journal: Journal
  /** Takes every secret out of a text. */
  redact: (text: string) => string
  /** The end of all ids given here. */
  processId?: string
}

/** Opens, records and closes entries. Everything that reaches the journal goes through here, and is scrubbed here. */
export class Recorder implements TrailService {
  readonly #clock: Clock
  readonly #journal: Journal
  readonly #redact: (text: string) => string
  readonly #make: (intent: Partial<Intent>) => OpenEntry
  readonly #listeners: Array<(entry: OpenEntry) => void> = []
  /** Entries open at this moment. */
  openEntries = 0

  constructor ({ clock, journal, redact, processId }: RecorderOptions) {
    this.#clock = clock
    this.#journal = journal
    this.#redact = redact
    this.#make = createEntryMaker(clock, processId)
  }

  open (intent: Partial<Intent>): OpenEntry {
    this.openEntries++
    const entry = this.#make(intent)
    if (entry.path !== '') entry.path = this.#redact(entry.path)
    if (entry.query !== '') entry.query = this.#redact(entry.query)
    if (entry.client_agent !== '') entry.client_agent = this.#redact(entry.client_agent.slice(0, longestAgent))
    return entry
  }

  record (entry: OpenEntry, done: (error?: Error) => void): void {
    this.#journal.record(entry, done)
  }

  close (entry: OpenEntry, outcome?: Partial<Outcome>): void {
    if (entry.closed) return
    entry.closed = true
    this.openEntries--
    if (outcome !== undefined) Object.assign(entry, outcome)
    entry.duration_ms = roundMs(this.#clock.monotonic() - entry.openedAt)
    if (entry.ttfb_ms !== null) entry.ttfb_ms = roundMs(entry.ttfb_ms)
    if (entry.error_message !== null) entry.error_message = this.#redact(entry.error_message.slice(0, longestMessage))
    if (entry.upstream_request_id !== null) entry.upstream_request_id = this.#redact(entry.upstream_request_id)
    if (entry.error_type !== null) entry.error_type = this.#redact(entry.error_type)
    this.#journal.close(entry)
    for (const listener of this.#listeners) listener(entry)
  }

  /** As `close`, for what nobody needs to find later: listeners hear of it, the journal doesn't. */
  drop (entry: OpenEntry): void {
    if (entry.closed) return
    entry.closed = true
    this.openEntries--
    entry.duration_ms = roundMs(this.#clock.monotonic() - entry.openedAt)
    for (const listener of this.#listeners) listener(entry)
  }

  onClosed (listener: (entry: OpenEntry) => void): void {
    this.#listeners.push(listener)
  }

  amend (id: string, facts: Amendment): void {
    this.#journal.amend(id, facts)
  }
}
