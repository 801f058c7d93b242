import { expressionBuilder, sql, type Kysely } from 'kysely'
import type { Schema } from '../store/schema.ts'
import { buildConditions, buildSource, joinConditions, type StoreKind } from './conditions.ts'
import type { Conditions } from './parse.ts'
import { everything, listRuns } from './runs.ts'

export interface SeriesQuery extends Conditions {
  /** How many buckets the time range is cut into, at most. */
  buckets: number
}

/** One stretch of time. Durations are of requests with an outcome, WebSockets left out; `null` if there were none. */
export interface SeriesBucket {
  /** RFC 3339: where it begins. */
  at: string
  count: number
  /** Answers with a status from 400 on, the API's or our own, and answers that broke off. A client that left is none. */
  errors: number
  /** By the first digit of the status; `none`: no answer, or not yet. */
  status: { '1xx': number, '2xx': number, '3xx': number, '4xx': number, '5xx': number, none: number }
  /** Requests the proxy refused. */
  refused: number
  bytes_in: number
  bytes_out: number
  /** Milliseconds, to two significant digits. */
  p50_ms: number | null
  p95_ms: number | null
  p99_ms: number | null
  max_ms: number | null
}

export interface Series {
  object: 'trail-series'
  /** RFC 3339; `to` is the first instant after it. */
  from: string
  to: string
  interval_ms: number
  buckets: SeriesBucket[]
  /** The same over the whole range. */
  total: Omit<SeriesBucket, 'at'>
}

const usualRangeMs = 3_600_000
/** People read these. */
const intervalsMs = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000].map(seconds => seconds * 1000)

interface Cell { bucket: number, class: number, error: number, refused: number, bin: number | null, count: number, bytes_in: number, bytes_out: number, max: number | null }

/** Counts, errors and percentiles over time for the records that fulfil the conditions. Without a time range: the last hour. */
export async function readSeries (db: Kysely<Schema>, kind: StoreKind, query: SeriesQuery, nowMs: number): Promise<Series> {
  const frame = findFrame(query, nowMs)
  const conditions: Conditions = { text: query.text, filters: [...query.filters, { field: 'started_at', op: 'within', spans: [{ from: frame.fromMs, to: frame.toMs }] }] }
  const cells: Cell[] = []
  for await (const runs of listRuns(db, conditions.filters, everything, 'ASC')) {
    const source = buildSource(kind, runs)
    const all = [...source.conditions, ...buildConditions(expressionBuilder<Schema, 'trail'>(), kind, conditions)]
    const { rows } = await sql<Cell>`
      select ${toInteger(kind, sql`(started_at - ${frame.fromMs}) / ${frame.intervalMs}`)} as bucket,
        coalesce(status / 100, 0) as class,
        case when status >= 400 or outcome in ('failed', 'truncated', 'unfinished') then 1 else 0 end as error,
        case when outcome = 'refused' then 1 else 0 end as refused,
        ${durationBin(kind)} as bin,
        count(*) as count, sum(bytes_in) as bytes_in, sum(bytes_out) as bytes_out,
        max(case when kind <> 'websocket' then duration_ms end) as max
      from ${source.from} where ${joinConditions(all)}
      group by 1, 2, 3, 4, 5`.execute(db)
    cells.push(...rows)
  }
  return assemble(frame, cells)
}

interface Frame { fromMs: number, toMs: number, intervalMs: number }

function findFrame ({ filters, buckets }: SeriesQuery, nowMs: number): Frame {
  let [fromMs, toMs] = [Number.NEGATIVE_INFINITY, nowMs + 1]
  for (const filter of filters) {
    if (filter.field !== 'started_at') continue
    if (filter.op === 'gte') fromMs = Math.max(fromMs, Number(filter.value))
    if (filter.op === 'lte') toMs = Math.min(toMs, Number(filter.value) + 1)
    if (filter.op === 'within') {
      fromMs = Math.max(fromMs, Math.min(...filter.spans.map(span => span.from)))
      toMs = Math.min(toMs, Math.max(...filter.spans.map(span => span.to)))
    }
  }
  if (fromMs === Number.NEGATIVE_INFINITY) fromMs = toMs - usualRangeMs
  if (toMs <= fromMs) toMs = fromMs + usualRangeMs
  const intervalMs = intervalsMs.find(interval => Math.ceil(toMs / interval) - Math.floor(fromMs / interval) <= buckets) ?? Math.ceil((toMs - fromMs) / buckets)
  // Buckets begin at round times, so that they stay the same from look to look.
  const start = intervalsMs.includes(intervalMs) ? Math.floor(fromMs / intervalMs) * intervalMs : fromMs
  return { fromMs: start, toMs: start + Math.ceil((toMs - start) / intervalMs) * intervalMs, intervalMs }
}

/** Durations to two significant digits, as a number to group by: 100 times the power of ten, plus the digits. */
function durationBin (kind: StoreKind) {
  const digits = (factor: number) => toInteger(kind, sql`duration_ms * ${sql.lit(factor)}`)
  return sql`case when duration_ms is null or kind = 'websocket' or outcome = 'open' then null
    when duration_ms < 1 then ${digits(100)} when duration_ms < 10 then 100 + ${digits(10)} when duration_ms < 100 then 200 + ${digits(1)}
    when duration_ms < 1000 then 300 + ${digits(0.1)} when duration_ms < 10000 then 400 + ${digits(0.01)}
    when duration_ms < 100000 then 500 + ${digits(0.001)} when duration_ms < 1000000 then 600 + ${digits(0.0001)} else 699 end`
}

export function decodeBin (bin: number): number {
  const power = Math.floor(bin / 100)
  return Number(((bin % 100) * 10 ** (power - 2)).toPrecision(2))
}

function toInteger (kind: StoreKind, expression: ReturnType<typeof sql>) {
  return kind === 'sqlite' ? sql`cast(${expression} as integer)` : sql`floor(${expression})::integer`
}

class Tally {
  count = 0
  errors = 0
  refused = 0
  bytesIn = 0
  bytesOut = 0
  max: number | null = null
  readonly classes = [0, 0, 0, 0, 0, 0]
  readonly bins = new Map<number, number>()

  add (cell: Cell): void {
    const count = Number(cell.count)
    this.count += count
    if (cell.error === 1) this.errors += count
    if (cell.refused === 1) this.refused += count
    this.bytesIn += Number(cell.bytes_in)
    this.bytesOut += Number(cell.bytes_out)
    this.classes[cell.class] = (this.classes[cell.class] ?? 0) + count
    if (cell.max !== null) this.max = Math.max(this.max ?? 0, cell.max)
    if (cell.bin !== null) this.bins.set(cell.bin, (this.bins.get(cell.bin) ?? 0) + count)
  }

  describe (): Omit<SeriesBucket, 'at'> {
    const [none = 0, one = 0, two = 0, three = 0, four = 0, five = 0] = this.classes
    return {
      count: this.count,
      errors: this.errors,
      status: { '1xx': one, '2xx': two, '3xx': three, '4xx': four, '5xx': five, none },
      refused: this.refused,
      bytes_in: this.bytesIn,
      bytes_out: this.bytesOut,
      ...findPercentiles(this.bins),
      max_ms: this.max
    }
  }
}

function findPercentiles (bins: Map<number, number>): Pick<SeriesBucket, 'p50_ms' | 'p95_ms' | 'p99_ms'> {
  const sorted = [...bins].sort(([a], [b]) => a - b)
  const total = sorted.reduce((sum, [, count]) => sum + count, 0)
  const find = (share: number): number | null => {
    let seen = 0
    for (const [bin, count] of sorted) {
      seen += count
      if (seen >= total * share) return decodeBin(bin)
    }
    return null
  }
  return { p50_ms: find(0.5), p95_ms: find(0.95), p99_ms: find(0.99) }
}

function assemble ({ fromMs, toMs, intervalMs }: Frame, cells: Cell[]): Series {
  const total = new Tally()
  const tallies = Array.from({ length: Math.round((toMs - fromMs) / intervalMs) }, () => new Tally())
  for (const cell of cells) {
    total.add(cell)
    tallies[cell.bucket]?.add(cell)
  }
  return {
    object: 'trail-series',
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
    interval_ms: intervalMs,
    buckets: tallies.map((tally, index) => ({ at: new Date(fromMs + index * intervalMs).toISOString(), ...tally.describe() })),
    total: total.describe()
  }
}
