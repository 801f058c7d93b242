import type { Kysely } from 'kysely'
import type { Schema } from './schema.ts'

export type Value = string | number | null

/** What one stretch of the journal says, made ready for a store. */
export interface Batch {
  journalId: string
  /** In the order of `columns`. A row that is there already only takes over a known outcome. */
  rows: Value[][]
  /** Outcomes of rows of earlier batches: `outcomeFields`, then notes, then id. */
  outcomes: Value[][]
  /** async_id, async_status, async_latency_ms, id; `null` leaves what is there. */
  amendments: Value[][]
  position: StoredPosition
  /** Milliseconds since 1970. */
  nowMs: number
}

export interface StoredPosition { segment: number, bytes: number }

/** Why a store can't be used. `corrupt` won't pass by itself. */
export type StoreFault = 'corrupt' | 'busy' | 'readonly' | 'full' | 'unreachable' | 'other'

/** What the storing thread asks of a store; SQLite and PostgreSQL have one each. Every method rejects with the database's own error. */
export interface Store {
  readonly db: Kysely<Schema>
  /** Connects, and brings the schema up to date; several may do so at once. */
  open (): Promise<void>
  findPosition (journalId: string): Promise<StoredPosition | undefined>
  /** All of it or nothing, and the same batch again changes nothing. */
  apply (batch: Batch): Promise<void>
  /** Bytes that the records take. */
  measure (): Promise<number>
  /** Gives space that deleted records took back to the system, a little at a time. */
  shrink (): Promise<void>
  close (): Promise<void>
}
