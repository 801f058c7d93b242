import type { TrailRecord } from '../record.ts'

export type Field = keyof TrailRecord

export type FieldType = 'text' | 'integer' | 'number' | 'date'

/**
 * How a field can be looked up. `few`: an index, and few different values, so that any condition becomes a list of
 * values. `many`: an index for equality and ranges. `none`: looked at row by row, newest (or oldest) first.
 */
export type Index = 'few' | 'many' | 'none'

export interface FieldRow {
  type: FieldType
  index: Index
  /** All values there are, if they are known. */
  values?: readonly string[]
}

const outcomes = ['open', 'answered', 'refused', 'failed', 'truncated', 'client_aborted', 'own', 'unfinished'] as const satisfies ReadonlyArray<TrailRecord['outcome']>
const kinds = ['request', 'websocket', 'page', 'channel'] as const satisfies ReadonlyArray<TrailRecord['kind']>

const text: FieldRow = { type: 'text', index: 'none' }
const integer: FieldRow = { type: 'integer', index: 'none' }
const number: FieldRow = { type: 'number', index: 'none' }

/** Every field of a record can be filtered by. */
export const fields: Record<Field, FieldRow> = {
  id: { type: 'text', index: 'many' },
  started_at: { type: 'date', index: 'none' }, // not an index, but blocks: see store/schema.ts
  kind: { type: 'text', index: 'none', values: kinds },
  member: { type: 'text', index: 'few' },
  method: { type: 'text', index: 'few' },
  path: { type: 'text', index: 'many' },
  query: text,
  region: text,
  key_fingerprint: text,
  client_address: { type: 'text', index: 'many' },
  client_agent: text,
  policy_decision: text,
  parent_id: { type: 'text', index: 'many' },
  notes: text,
  trace_id: text,
  outcome: { type: 'text', index: 'few', values: outcomes },
  status: { type: 'integer', index: 'few' },
  upstream_request_id: { type: 'text', index: 'many' },
  error_type: { type: 'text', index: 'few' },
  error_message: text,
  duration_ms: number,
  ttfb_ms: number,
  bytes_in: integer,
  bytes_out: integer,
  attempts: integer,
  close_code: integer,
  clock_offset_ms: number,
  async_id: { type: 'text', index: 'many' },
  async_status: integer,
  async_latency_ms: number
}

export const fieldNames = Object.keys(fields) as Field[]

export function isField (name: string): name is Field {
  return Object.hasOwn(fields, name)
}
