import type { DurationHistogram } from './duration-histogram.ts'
import { prefix, type MetricFamily, type Sample } from './metric-family.ts'
import type { RequestSeries, RequestTally } from './request-tally.ts'

/** What the tally holds, as metrics. */
export function requestMetrics (tally: RequestTally): MetricFamily[] {
  const perSeries = (pick: (series: RequestSeries) => number) => () => [...tally.series.values()].map(series => ({ labels: labelsOf(series), value: pick(series) }))
  return [
    { name: `${prefix}requests_total`, help: 'Requests that ended, by who asked, for what, and how it ended.', type: 'counter', collect: perSeries(({ requests }) => requests) },
    { name: `${prefix}request_bytes_total`, help: 'Body bytes received from clients.', type: 'counter', collect: () => sumByMember(tally, ({ bytesIn }) => bytesIn) },
    { name: `${prefix}response_bytes_total`, help: 'Body bytes sent to clients.', type: 'counter', collect: () => sumByMember(tally, ({ bytesOut }) => bytesOut) },
    { name: `${prefix}refusals_total`, help: 'Requests refused in the proxy\'s own name, by error type.', type: 'counter', collect: () => [...tally.refusals].map(([type, value]) => ({ labels: { type }, value })) },
    { name: `${prefix}repeated_requests_total`, help: 'Requests sent upstream a second time because a kept connection had gone stale.', type: 'counter', collect: () => [{ value: tally.repeated }] },
    { name: `${prefix}request_duration_seconds`, help: 'From arrival to the last byte of the answer. WebSockets are left out.', type: 'histogram', collect: () => byRoute(tally.whole) },
    { name: `${prefix}upstream_duration_seconds`, help: 'From handing over to the connections to the last byte of the API\'s answer.', type: 'histogram', collect: () => byRoute(tally.upstream) },
    { name: `${prefix}own_duration_seconds`, help: 'What the proxy added to answered requests: whole less upstream.', type: 'histogram', collect: () => samplesOf(tally.own, {}) }
  ]
}

function labelsOf ({ member, method, route, status, outcome }: RequestSeries): Record<string, string> {
  return { member, method, route, status, outcome }
}

function sumByMember (tally: RequestTally, pick: (series: RequestSeries) => number): Sample[] {
  const sums = new Map<string, number>()
  for (const series of tally.series.values()) sums.set(series.member, (sums.get(series.member) ?? 0) + pick(series))
  return [...sums].map(([member, value]) => ({ labels: { member }, value }))
}

function byRoute (histograms: Map<string, DurationHistogram>): Sample[] {
  return [...histograms].flatMap(([route, histogram]) => samplesOf(histogram, { route }))
}

function samplesOf (histogram: DurationHistogram, labels: Record<string, string>): Sample[] {
  return [
    ...histogram.cumulative().map(({ le, count }): Sample => ({ suffix: '_bucket', labels: { ...labels, le }, value: count })),
    { suffix: '_sum', labels, value: histogram.sumSeconds },
    { suffix: '_count', labels, value: histogram.count }
  ]
}
