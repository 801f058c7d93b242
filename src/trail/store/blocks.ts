import { outcomeFields } from '../lines.ts'
import { addPath, pathFilterBytes } from './path-filter.ts'
import { columnIndex, type BlockRow } from './schema.ts'
import type { Value } from './store.ts'

/**
 * Records are looked up by blocks: some hundred that follow one another, of which the store knows which times and which
 * values they have. A search then reads the blocks that can hold what it looks for, in order, until its page is full.
 * For a trail that is better than a B-tree per column: whatever the column and however common the value, it is quick, and
 * a record costs half as much to store.
 */
export const zoneFields = ['kind', 'member', 'method', 'region', 'key_fingerprint', 'client_address', 'client_agent', 'policy_decision',
  'notes', 'outcome', 'status', 'error_type', 'attempts', 'close_code'] as const

export type ZoneField = typeof zoneFields[number]

/** Stands for "any": the block has too many values of the field to list them. */
export const anyValue = '*'

/** Rows in a block, about. */
export const blockRows = 128
/** More different values than this in one block tell nothing; members are few, and always looked for. */
const mostValues = 24
const mostMembers = 100

export interface ZoneValue { field: ZoneField, value: string }

export interface BlockWrite {
  /** `undefined`: a new block. */
  id: number | undefined
  row: Omit<BlockRow, 'id'>
  /** Values the block didn't have before. */
  added: ZoneValue[]
}

interface Block {
  id: number | undefined
  row: Omit<BlockRow, 'id'>
  values: Map<ZoneField, Set<string>>
}

/** What a block has to learn about one of its rows whose outcome came later. */
export interface BlockNews { id: number, added: ZoneValue[], maxDurationMs: number | undefined }

/** Remembered, so that outcomes of the last minutes need no look at the database. */
const rememberedBlocks = 500

/** As a zone knows a value: text, with nothing and empty being the same. */
export function toZoneValue (value: Value | undefined): string {
  return value === null || value === undefined ? '' : String(value)
}

/** Decides which block new rows belong to, and what is new about it. */
export class BlockKeeper {
  readonly #blocks: Block[] = []

  /** The rows have the places from `firstSeq` to `lastSeq`. Their block is to be written, and its id to be told by `noteId`. */
  extend (firstSeq: number, lastSeq: number, rows: Value[][]): BlockWrite {
    const { id, row, values } = this.#choose(firstSeq)
    row.first_seq = Math.min(row.first_seq, firstSeq)
    row.last_seq = Math.max(row.last_seq, lastSeq)
    row.rows += rows.length
    const added: ZoneValue[] = []
    for (const record of rows) {
      noteBounds(row, record)
      for (const field of zoneFields) noteValue(values, field, toZoneValue(record[columnIndex[field]]), added)
    }
    return { id, row: { ...row }, added }
  }

  #choose (firstSeq: number): Block {
    const latest = this.#blocks.at(-1)
    if (latest?.id !== undefined && latest.row.rows < blockRows) return latest
    const block = emptyBlock(firstSeq)
    this.#blocks.push(block)
    if (this.#blocks.length > rememberedBlocks) this.#blocks.shift()
    return block
  }

  noteId (id: number): void {
    const latest = this.#blocks.at(-1)
    if (latest !== undefined) latest.id = id
  }

  /** All that is known of the latest block, for when it has to be written anew. */
  listValues (): ZoneValue[] {
    return [...this.#blocks.at(-1)?.values ?? []].flatMap(([field, values]) => [...values].map(value => ({ field, value })))
  }

  /** The row at `seq` has these values now. `undefined`: its block isn't remembered, and the database has to find it. */
  learn (seq: number, values: ZoneValue[], durationMs: number): BlockNews | undefined {
    const block = this.#blocks.findLast(({ row }) => row.first_seq <= seq && row.last_seq >= seq)
    if (block?.id === undefined) return undefined
    const added: ZoneValue[] = []
    for (const { field, value } of values) noteValue(block.values, field, value, added)
    const isLonger = durationMs > block.row.max_duration_ms
    if (isLonger) block.row.max_duration_ms = durationMs
    return { id: block.id, added, maxDurationMs: isLonger ? durationMs : undefined }
  }
}

const outcomeZones = zoneFields.flatMap(field => {
  const index = (outcomeFields as readonly string[]).indexOf(field)
  return index < 0 ? [] : [{ field, index }]
})
const durationIndex = outcomeFields.indexOf('duration_ms')

/** What a block has to know of an outcome: values in the order of `outcomeFields`, and the notes. */
export function describeOutcome (outcome: Value[], notes: string): { values: ZoneValue[], durationMs: number } {
  const values: ZoneValue[] = outcomeZones.map(({ field, index }) => ({ field, value: toZoneValue(outcome[index]) }))
  return { values: [...values, { field: 'notes', value: notes }], durationMs: outcome[durationIndex] as number | null ?? 0 }
}

function emptyBlock (firstSeq: number): Block {
  return {
    id: undefined,
    row: { first_seq: firstSeq, last_seq: firstSeq, min_started_at: Number.MAX_SAFE_INTEGER, max_started_at: 0, max_duration_ms: 0, rows: 0, path_filter: new Uint8Array(pathFilterBytes) },
    values: new Map()
  }
}

function noteBounds (row: Omit<BlockRow, 'id'>, record: Value[]): void {
  const startedAt = record[columnIndex.started_at] as number
  row.min_started_at = Math.min(row.min_started_at, startedAt)
  row.max_started_at = Math.max(row.max_started_at, startedAt)
  row.max_duration_ms = Math.max(row.max_duration_ms, record[columnIndex.duration_ms] as number | null ?? 0)
  addPath(row.path_filter, record[columnIndex.path] as string)
}

function noteValue (values: Map<ZoneField, Set<string>>, field: ZoneField, value: string, added: ZoneValue[]): void {
  let known = values.get(field)
  if (known === undefined) values.set(field, known = new Set())
  if (known.has(value) || known.has(anyValue)) return
  const noted = known.size < (field === 'member' ? mostMembers : mostValues) ? value : anyValue
  known.add(noted)
  added.push({ field, value: noted })
}
