import type { OpenEntry, TrailService } from '../trail/record.ts'

/** Device requests whose own answer is still under way, as the trail sees them: what is learned meanwhile goes straight into their entries. */
export class Asking {
  readonly #entries = new Map<string, OpenEntry>()
  readonly #trail: Pick<TrailService, 'amend'>

  constructor (trail: Pick<TrailService, 'amend'>) {
    this.#trail = trail
  }

  /** Until the returned function is called. */
  add (entry: OpenEntry): () => void {
    this.#entries.set(entry.id, entry)
    return () => { this.#entries.delete(entry.id) }
  }

  /** The asynchronous answer came. `trailId`: of the request it answers, empty if that is not known. */
  noteAnswer (trailId: string, status: number | null, latencyMs: number): void {
    const facts = { async_status: status, async_latency_ms: latencyMs }
    const entry = this.#entries.get(trailId)
    if (entry !== undefined && !entry.closed) Object.assign(entry, facts)
    else if (trailId !== '') this.#trail.amend(trailId, facts)
  }
}
