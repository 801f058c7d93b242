import { columnIndex } from './schema.ts'
import type { StoredPosition, Value } from './store.ts'

/**
 * An intent waits that long for its outcome: most requests are then written once and not twice. Short enough for what
 * takes longer to be found as open within 300 ms.
 */
export const holdMs = 150
const mostHeld = 5000

interface HeldIntent {
  row: Value[]
  /** Where the stretch begins that it was read in. */
  from: StoredPosition
  sinceMs: number
}

/** Rows that were read and not stored yet, as their outcome may be about to come. */
export class HeldIntents {
  readonly #held = new Map<string, HeldIntent>()

  get size (): number { return this.#held.size }

  get rows (): Value[][] { return [...this.#held.values()].map(({ row }) => row) }

  /** Takes the rows of a stretch, with those that were held already, and gives back what is to be stored now. */
  sort (rows: Value[][], from: StoredPosition): Value[][] {
    const known = new Map(this.#held)
    this.#held.clear()
    const ready: Value[][] = []
    for (const row of rows) {
      const id = row[columnIndex.id] as string
      const held = known.get(id) ?? { row, from, sinceMs: performance.now() }
      if (row[columnIndex.outcome] === 'open' && this.#held.size < mostHeld && performance.now() - held.sinceMs < holdMs) this.#held.set(id, held)
      else ready.push(row)
    }
    return ready
  }

  /** Gives what has waited that long, and holds it no more. */
  release (waitedMs: number): Value[][] {
    const due = [...this.#held].filter(([, { sinceMs }]) => performance.now() - sinceMs >= waitedMs)
    for (const [id] of due) this.#held.delete(id)
    return due.map(([, { row }]) => row)
  }

  /** What is held isn't stored yet: after a crash, reading begins there. */
  safePosition (cursor: StoredPosition): StoredPosition {
    const [first] = this.#held.values()
    return first?.from ?? cursor
  }

  clear (): void { this.#held.clear() }
}
