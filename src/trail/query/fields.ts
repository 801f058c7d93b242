import type { TrailRecord } from '../record.ts'
import { zoneFields } from '../store/blocks.ts'

export type Field = keyof TrailRecord

export type FieldType = 'text' | 'integer' | 'number' | 'date'

/**
 * How a field is looked up.
 * - `index`: it names one record or a few; a B-tree
 * - `zone`: blocks know which values they have, see store/blocks.ts
 * - `path`: blocks know which path segments they have
 * - `longest`: blocks know the greatest value
 * - `time`: blocks know the range
 * - `none`: looked at record by record
 */
export type Lookup = 'index' | 'zone' | 'path' | 'longest' | 'time' | 'none'

export interface FieldRow {
  type: FieldType
  lookup: Lookup
  /** All values there are, if they are known. */
  values?: readonly string[]
}

const outcomes = ['open', 'answered', 'refused', 'failed', 'truncated', 'client_aborted', 'own', 'unfinished'] as const satisfies ReadonlyArray<TrailRecord['outcome']>
const kinds = ['request', 'websocket', 'page', 'channel'] as const satisfies ReadonlyArray<TrailRecord['kind']>

function field (name: Field, type: FieldType, lookup: Lookup = 'none', values?: readonly string[]): [Field, FieldRow] {
  const zoned = (zoneFields as readonly string[]).includes(name)
  return [name, { type, lookup: zoned ? 'zone' : lookup, ...values && { values } }]
}

/** Every field of a record can be filtered by. */
export const fields = Object.fromEntries([
  field('id', 'text', 'index'),
  field('started_at', 'date', 'time'),
  field('kind', 'text', 'zone', kinds),
  field('member', 'text'),
  field('method', 'text'),
  field('path', 'text', 'path'),
  field('query', 'text'),
  field('region', 'text'),
  field('key_fingerprint', 'text'),
  field('client_address', 'text'),
  field('client_agent', 'text'),
  field('policy_decision', 'text'),
  field('parent_id', 'text', 'index'),
  field('notes', 'text'),
  field('trace_id', 'text', 'index'),
  field('outcome', 'text', 'zone', outcomes),
  field('status', 'integer'),
  field('upstream_request_id', 'text', 'index'),
  field('error_type', 'text'),
  field('error_message', 'text'),
  field('duration_ms', 'number', 'longest'),
  field('ttfb_ms', 'number'),
  field('bytes_in', 'integer'),
  field('bytes_out', 'integer'),
  field('attempts', 'integer'),
  field('close_code', 'integer'),
  field('clock_offset_ms', 'number'),
  field('async_id', 'text', 'index'),
  field('async_status', 'integer'),
  field('async_latency_ms', 'number')
]) as Record<Field, FieldRow>

export const fieldNames = Object.keys(fields) as Field[]

export function isField (name: string): name is Field {
  return Object.hasOwn(fields, name)
}
