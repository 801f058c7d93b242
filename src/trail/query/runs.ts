import { sql, type Kysely } from 'kysely'
import { anyValue } from '../store/blocks.ts'
import { commonSegments, mayHold, splitPath } from '../store/path-filter.ts'
import type { Schema } from '../store/schema.ts'
import { fields, type Field } from './fields.ts'
import type { Filter, FilterValue } from './parse.ts'

/** A stretch of the trail's order, both ends included. */
export interface Run { least: number, most: number }

export const everything: Run = { least: 1, most: Number.MAX_SAFE_INTEGER }

/** What a block must have for one of its records to fulfil the filters. */
interface Demands {
  /** Values that many blocks have: looked up block by block. */
  zones: Array<{ field: Field, values: string[] }>
  /** The blocks that have values which few have. */
  blocks: Set<number> | undefined
  /** Of several paths, one must be possible; `undefined`: any is. */
  paths: string[][] | undefined
  longestAtLeast: number | undefined
  times: Array<{ from: number, to: number }>
}

/** So few blocks are looked for by their ids. */
const fewBlocks = 500
/** A condition on a field with more values than this is not worth listing them. */
const mostDistinct = 500
const firstChunk = 32
const largestChunk = 2048
const largestLot = 200

/**
 * The stretches in which records that fulfil the filters can be, in order, in growing lots to be read at once. Whoever
 * asks stops when the page is full. The filters themselves are still to be checked, record by record.
 */
export async function * listRuns (db: Kysely<Schema>, filters: Filter[], within: Run, order: 'ASC' | 'DESC'): AsyncGenerator<Run[]> {
  const demands = await findDemands(db, filters)
  if (demands === undefined) {
    yield [within]
    return
  }
  if (demands.blocks?.size === 0) return
  let lot = 1
  for await (const runs of findRuns(db, demands, within, order)) {
    let from = 0
    while (from < runs.length) {
      yield runs.slice(from, from + lot)
      from += lot
      lot = Math.min(largestLot, lot * 3)
    }
  }
}

async function * findRuns (db: Kysely<Schema>, demands: Demands, within: Run, order: 'ASC' | 'DESC'): AsyncGenerator<Run[]> {
  let left = within
  for (let size = firstChunk; left.least <= left.most; size = Math.min(largestChunk, size * 4)) {
    const blocks = await readBlocks(db, demands, left, order, size)
    const fitting = blocks.filter(block => demands.paths === undefined || demands.paths.some(segments => mayHold(block.path_filter as Uint8Array, segments)))
    yield unite(fitting, left, order)
    const last = blocks.at(-1)
    if (last === undefined || blocks.length < size) return
    // Blocks of several instances overlap: what has been covered isn't looked at again.
    left = order === 'ASC'
      ? { least: Math.max(...fitting.map(block => block.last_seq + 1), last.first_seq), most: left.most }
      : { least: left.least, most: Math.min(...fitting.map(block => block.first_seq - 1), last.last_seq) }
  }
}

interface BlockBounds { id: number, first_seq: number, last_seq: number, path_filter?: Uint8Array }

async function readBlocks (db: Kysely<Schema>, demands: Demands, { least, most }: Run, order: 'ASC' | 'DESC', limit: number): Promise<BlockBounds[]> {
  let blocks = db.selectFrom('trail_block').select(['id', 'first_seq', 'last_seq'])
    .$if(demands.paths !== undefined, select => select.select('path_filter'))
    .where('last_seq', '>=', least).where('first_seq', '<=', most).limit(limit)
  blocks = order === 'ASC' ? blocks.orderBy('first_seq', 'asc').orderBy('id', 'asc') : blocks.orderBy('last_seq', 'desc').orderBy('id', 'desc')
  for (const { field, values } of demands.zones) {
    blocks = blocks.where(({ exists }) => exists(selectZones(db, field, values).where(sql<boolean>`trail_zone.block = trail_block.id`)))
  }
  if (demands.blocks !== undefined) blocks = blocks.where('id', 'in', [...demands.blocks])
  for (const { from, to } of demands.times) blocks = blocks.where('max_started_at', '>=', from).where('min_started_at', '<=', to)
  if (demands.longestAtLeast !== undefined) blocks = blocks.where('max_duration_ms', '>=', demands.longestAtLeast)
  return blocks.execute()
}

function selectZones (db: Kysely<Schema>, field: Field, values: string[]) {
  return db.selectFrom('trail_zone').select('trail_zone.block').where('field', '=', field).where('value', 'in', [...values, anyValue])
}

/** Neighbours and overlapping blocks become one run. */
function unite (blocks: BlockBounds[], within: Run, order: 'ASC' | 'DESC'): Run[] {
  const runs: Run[] = []
  for (const { first_seq: first, last_seq: last } of blocks) {
    const run = { least: Math.max(first, within.least), most: Math.min(last, within.most) }
    const previous = runs.at(-1)
    if (previous !== undefined && run.least <= previous.most + 1 && run.most >= previous.least - 1) {
      previous.least = Math.min(previous.least, run.least)
      previous.most = Math.max(previous.most, run.most)
    } else if (run.least <= run.most) {
      runs.push(run)
    }
  }
  return order === 'ASC' ? runs.sort((a, b) => a.least - b.least) : runs.sort((a, b) => b.most - a.most)
}

/** `undefined` when the blocks know nothing about the filters. */
async function findDemands (db: Kysely<Schema>, filters: Filter[]): Promise<Demands | undefined> {
  const demands: Demands = { zones: [], blocks: undefined, paths: findPaths(filters), longestAtLeast: undefined, times: [] }
  for (const filter of filters) {
    const { lookup } = fields[filter.field]
    if (lookup === 'time') demands.times.push(...findTimes(filter))
    if (lookup === 'longest' && filter.op === 'gte') demands.longestAtLeast = Math.max(demands.longestAtLeast ?? 0, Number(filter.value))
    const values = lookup === 'zone' ? await findValues(db, filter) : undefined
    if (values !== undefined) await addZone(db, demands, filter.field, values)
  }
  const knowsNothing = demands.zones.length === 0 && demands.blocks === undefined && demands.times.length === 0 && demands.paths === undefined && demands.longestAtLeast === undefined
  return knowsNothing ? undefined : demands
}

async function addZone (db: Kysely<Schema>, demands: Demands, field: Field, values: string[]): Promise<void> {
  const rows = await selectZones(db, field, values).limit(fewBlocks + 1).execute()
  if (rows.length > fewBlocks) {
    demands.zones.push({ field, values })
    return
  }
  const blocks = rows.map(row => row.block)
  demands.blocks = new Set(demands.blocks === undefined ? blocks : blocks.filter(block => demands.blocks?.has(block)))
}

/** Which of the values that there are fulfil the filter, as zones have them. */
async function findValues (db: Kysely<Schema>, filter: Filter): Promise<string[] | undefined> {
  if (filter.op === 'in') return filter.values.map(value => value === null ? '' : String(value))
  const { rows } = await sql<{ value: string }>`
    with recursive known (value) as (
      select min(value) from trail_zone where field = ${filter.field}
      union all
      select (select min(value) from trail_zone where field = ${filter.field} and value > known.value) from known where known.value is not null
    ) select value from known where value is not null limit ${mostDistinct}`.execute(db)
  if (rows.length === mostDistinct) return undefined
  return rows.map(row => row.value).filter(value => value !== anyValue && fulfils(filter, value))
}

function fulfils (filter: Filter, zoneValue: string): boolean {
  const value: FilterValue = zoneValue === '' ? null : fields[filter.field].type === 'text' ? zoneValue : Number(zoneValue)
  if (filter.op === 'nin') return !filter.values.includes(value)
  // An empty text is greater than none and less than any.
  if (filter.op === 'gte') return (value ?? '') >= filter.value
  return filter.op === 'lte' && (value ?? '') <= filter.value
}

/** From each condition on the path its own alternatives; the most telling one is used. */
function findPaths (filters: Filter[]): string[][] | undefined {
  const onPath = filters.filter(filter => filter.field === 'path')
  const equal = onPath.find(filter => filter.op === 'in')
  if (equal?.op === 'in') return equal.values.map(value => splitPath(String(value ?? '')))
  const from = onPath.find(filter => filter.op === 'gte')
  const to = onPath.find(filter => filter.op === 'lte')
  if (from?.op !== 'gte' || to?.op !== 'lte') return undefined
  const segments = commonSegments(String(from.value), String(to.value))
  return segments.length === 0 ? undefined : [segments]
}

function findTimes (filter: Filter): Array<{ from: number, to: number }> {
  if (filter.op === 'gte') return [{ from: Number(filter.value), to: Number.MAX_SAFE_INTEGER }]
  if (filter.op === 'lte') return [{ from: 0, to: Number(filter.value) }]
  if (filter.op !== 'within') return []
  return [{ from: Math.min(...filter.spans.map(span => span.from)), to: Math.max(...filter.spans.map(span => span.to)) }]
}
