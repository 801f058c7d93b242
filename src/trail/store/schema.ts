import type { Generated } from 'kysely'
import type { TrailRecord } from '../record.ts'

/** A row of the table `trail`: a record, with times as numbers so that databases compare them quickly. */
export interface TrailRow extends Omit<TrailRecord, 'started_at'> {
  /** The order of the trail: given by the store, row by row, whatever the clocks say. */
  seq: Generated<number>
  /** Milliseconds since 1970. */
  started_at: number
  /** Id of the journal it came from, i.e. of the instance. */
  journal: string
}

/** What the records of one stretch of the order have, see blocks.ts. Stretches of several instances may overlap. */
export interface BlockRow {
  id: Generated<number>
  first_seq: number
  last_seq: number
  /** Clocks jump, so time is not the order. */
  min_started_at: number
  max_started_at: number
  max_duration_ms: number
  rows: number
  /** See path-filter.ts. */
  path_filter: Uint8Array
}

/** One value that a field has in a block. */
export interface ZoneRow {
  field: string
  value: string
  block: number
}

/** How far a journal has been stored; written in the same transaction as the rows themselves. */
export interface PositionRow {
  journal: string
  segment: number
  bytes: number
  /** Milliseconds since 1970: when its instance last wrote here. */
  seen_at: number
}

/** A process and what it ran with, for support bundles. */
export interface ProxyRow {
  /** The end of all ids it gave. */
  id: string
  /** JSON. */
  context: string
  /** Milliseconds since 1970. */
  seen_at: number
}

export interface Schema {
  trail: TrailRow
  trail_block: BlockRow
  trail_zone: ZoneRow
  trail_position: PositionRow
  trail_proxy: ProxyRow
}

/** The columns of `trail` in the order in which rows are handed to a store. */
export const columns = ['id', 'journal', 'started_at', 'kind', 'member', 'method', 'path', 'query', 'region', 'key_fingerprint',
  'client_address', 'client_agent', 'policy_decision', 'parent_id', 'notes', 'trace_id', 'outcome', 'status',
  'upstream_request_id', 'error_type', 'error_message', 'duration_ms', 'ttfb_ms', 'bytes_in', 'bytes_out', 'attempts',
  'close_code', 'clock_offset_ms', 'async_id', 'async_status', 'async_latency_ms'] as const satisfies ReadonlyArray<keyof TrailRow>

/** Their types in PostgreSQL; all others are text. */
export const numericTypes: Partial<Record<typeof columns[number], 'bigint' | 'integer' | 'double precision'>> = {
  started_at: 'bigint',
  status: 'integer',
  duration_ms: 'double precision',
  ttfb_ms: 'double precision',
  bytes_in: 'bigint',
  bytes_out: 'bigint',
  attempts: 'integer',
  close_code: 'integer',
  clock_offset_ms: 'double precision',
  async_status: 'integer',
  async_latency_ms: 'double precision'
}

/** Position in `columns`. */
export const columnIndex = Object.fromEntries(columns.map((name, index) => [name, index])) as Record<typeof columns[number], number>
