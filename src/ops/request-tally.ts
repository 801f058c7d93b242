import type { OpenEntry, OutcomeKind } from '../trail/record.ts'
import { DurationHistogram } from './duration-histogram.ts'
import type { RouteMatcher } from './route-matcher.ts'

export interface RequestLabels {
  member: string
  method: string
  route: string
  /** `2xx`, … or `none`. */
  status: string
  outcome: OutcomeKind
}

export interface RequestSeries extends RequestLabels {
  requests: number
  bytesIn: number
  bytesOut: number
}

/** What a client chooses freely must not choose how much memory this takes. */
export interface TallyLimits {
  members: number
  series: number
}

const known = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const classes = ['none', '1xx', '2xx', '3xx', '4xx', '5xx']

/**
 * Counts requests as they end. Plain numbers in maps, a tenth of what prom-client takes per request; it becomes
 * metrics when somebody scrapes. Everything not in a table of ours counts as `other`.
 */
export class RequestTally {
  readonly #match: RouteMatcher
  readonly #limits: TallyLimits
  readonly #members = new Set<string>()
  readonly series = new Map<string, RequestSeries>()
  /** By route, from arrival to the last byte. */
  readonly whole = new Map<string, DurationHistogram>()
  /** By route, from handing over to upstream's last byte. */
  readonly upstream = new Map<string, DurationHistogram>()
  /** The rest of the time of answered requests: what the proxy itself (and a client that reads slowly) adds. */
  readonly own = new DurationHistogram()
  /** By error type: what was refused in the proxy's own name. */
  readonly refusals = new Map<string, number>()
  /** Requests that were sent to upstream more than once. */
  repeated = 0

  constructor (match: RouteMatcher, limits: TallyLimits = { members: 200, series: 5000 }) {
    this.#match = match
    this.#limits = limits
  }

  add (entry: OpenEntry): void {
    const route = this.#match(entry.path) ?? 'other'
    const series = this.#findSeries(entry, route)
    series.requests++
    series.bytesIn += entry.bytes_in
    series.bytesOut += entry.bytes_out
    if (entry.attempts > 1) this.repeated++
    if (entry.outcome === 'refused' && entry.error_type !== null) this.refusals.set(entry.error_type, (this.refusals.get(entry.error_type) ?? 0) + 1)
    if (entry.kind === 'request') this.#addDurations(entry, route)
  }

  /** A WebSocket's duration says nothing of speed, so only requests come here. */
  #addDurations (entry: OpenEntry, route: string): void {
    const wholeMs = entry.duration_ms ?? 0
    observe(this.whole, route, wholeMs)
    if (entry.outcome !== 'answered' || entry.answeredAt === 0) return
    const upstreamMs = entry.answeredAt - entry.sentAt
    observe(this.upstream, route, upstreamMs)
    this.own.observe(Math.max(0, wholeMs - upstreamMs) / 1000)
  }

  #findSeries ({ member, method, status, outcome }: OpenEntry, route: string): RequestSeries {
    const labels = {
      member: this.#boundMember(member),
      method: known.has(method) ? method : 'OTHER',
      route,
      status: classes[Math.floor((status ?? 0) / 100)] ?? 'none',
      outcome
    }
    return this.#seriesOf(labels) ?? this.#seriesOf({ ...labels, method: 'OTHER', route: 'other' }, true)
  }

  #seriesOf (labels: RequestLabels): RequestSeries | undefined
  #seriesOf (labels: RequestLabels, always: true): RequestSeries
  #seriesOf (labels: RequestLabels, always = false): RequestSeries | undefined {
    const key = `${labels.member} ${labels.method} ${labels.route} ${labels.status} ${labels.outcome}`
    let series = this.series.get(key)
    if (series !== undefined || (!always && this.series.size >= this.#limits.series)) return series
    series = { ...labels, requests: 0, bytesIn: 0, bytesOut: 0 }
    this.series.set(key, series)
    return series
  }

  #boundMember (name: string): string {
    if (name === '') return 'none'
    if (this.#members.has(name)) return name
    if (this.#members.size >= this.#limits.members) return 'other'
    this.#members.add(name)
    return name
  }
}

function observe (histograms: Map<string, DurationHistogram>, route: string, ms: number): void {
  let histogram = histograms.get(route)
  if (histogram === undefined) histograms.set(route, histogram = new DurationHistogram())
  histogram.observe(ms / 1000)
}
