import type { BlockRow } from './schema.ts'

type Stretch = Omit<BlockRow, 'id'>

/** Rows in a block, about: few enough that reading one to find the right times costs nothing. */
const usualRows = 1000

/** Decides whether a stretch of new rows extends the latest block or begins the next. */
export class BlockKeeper {
  #latest: Stretch | undefined
  /** Of the latest block, once it is in the table. */
  id: number | undefined

  /** Gives the block to write; without `id` it is a new one, whose id is to be set here. */
  extend (stretch: Stretch): Stretch & { id: number | undefined } {
    if (this.#latest === undefined || this.#latest.rows >= usualRows) this.id = undefined
    this.#latest = this.id === undefined || this.#latest === undefined ? stretch : unite(this.#latest, stretch)
    return { ...this.#latest, id: this.id }
  }
}

function unite (a: Stretch, b: Stretch): Stretch {
  return {
    first_seq: Math.min(a.first_seq, b.first_seq),
    last_seq: Math.max(a.last_seq, b.last_seq),
    min_started_at: Math.min(a.min_started_at, b.min_started_at),
    max_started_at: Math.max(a.max_started_at, b.max_started_at),
    rows: a.rows + b.rows
  }
}
