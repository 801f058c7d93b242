import type { FastifyInstance } from 'fastify'
import type { HealthReport } from '../decorations.ts'
import type { Health, Overview } from './health.ts'
import { prefix, type MetricFamily, type Sample } from './metric-family.ts'

const states: Record<HealthReport['state'], number> = { ok: 0, degraded: 1, failed: 2 }

/** As many members as get labels of their own. */
const maxMembers = 200

/** How the whole and its parts are. */
export function healthMetrics (health: Health): MetricFamily[] {
  const parts = (pick: (part: HealthReport) => number) => () => Object.entries(health.overview().parts).map(([part, report]) => ({ labels: { part }, value: pick(report) }))
  return [
    { name: `${prefix}ready`, help: '1 if readyz is green.', type: 'gauge', collect: () => [{ value: Number(health.overview().ready) }] },
    { name: `${prefix}draining`, help: '1 from SIGTERM on.', type: 'gauge', collect: () => [{ value: Number(health.draining) }] },
    { name: `${prefix}part_state`, help: '0 ok, 1 degraded, 2 failed.', type: 'gauge', collect: parts(({ state }) => states[state]) },
    { name: `${prefix}part_ready`, help: '1 unless this part keeps readyz red.', type: 'gauge', collect: parts(({ ready }) => Number(ready)) }
  ]
}

/** Connections of clients, as the drain counts them. */
export function connectionMetrics ({ connections }: Pick<FastifyInstance, 'connections'>): MetricFamily[] {
  return [
    { name: `${prefix}in_flight_requests`, help: 'Requests whose answer is not finished.', type: 'gauge', collect: () => [{ value: connections.openAnswers }] },
    { name: `${prefix}open_websockets`, help: 'Upgraded client connections.', type: 'gauge', collect: () => [{ value: connections.openUpgrades }] },
    { name: `${prefix}client_connections`, help: 'Open client connections, idle ones too.', type: 'gauge', collect: () => [{ value: connections.openSockets }] }
  ]
}

/** Members against their limits; beyond the first 200, in the order of the team file, nobody has a series. */
export function memberMetrics ({ team }: Pick<FastifyInstance, 'team'>): MetricFamily[] {
  const members = (pick: (member: ReturnType<typeof team.list>[number]) => number | null) => () => team.list().slice(0, maxMembers).flatMap(member => {
    const value = pick(member)
    return value === null ? [] : [{ labels: { member: member.name }, value }]
  })
  return [
    { name: `${prefix}member_open_requests`, help: 'Requests a member has open.', type: 'gauge', collect: members(({ open }) => open) },
    { name: `${prefix}member_concurrency_limit`, help: 'Requests a member may have open, if limited.', type: 'gauge', collect: members(({ concurrency }) => concurrency) },
    { name: `${prefix}member_requests_today`, help: 'Requests of this day (UTC) that count against the daily limit.', type: 'gauge', collect: members(({ requestsToday }) => requestsToday) },
    { name: `${prefix}member_daily_limit`, help: 'Requests a member may make in a day, if limited.', type: 'gauge', collect: members(({ daily }) => daily) },
    { name: `${prefix}member_refused_today`, help: 'Requests of this day refused by a limit.', type: 'gauge', collect: members(({ refusedToday }) => refusedToday) }
  ]
}

/** A number in a part's details, by its way there. What isn't there has no sample. */
interface Detail { part: string, path: string[], name: string, help: string, type?: 'counter', labels?: Record<string, string>, scale?: number }

const details: Detail[] = [
  ...['open', 'running', 'queued', 'warm'].map((state): Detail => ({ part: 'upstream', path: ['connections', state], name: 'upstream_connections', help: 'Connections to the API (open, running, warm) and requests that wait for one (queued).', labels: { state } })),
  { part: 'trail', path: ['store', 'behindMs'], name: 'trail_lag_seconds', help: 'How far the searchable store is behind the journal.', scale: 1e-3 },
  { part: 'trail', path: ['store', 'storeBytes'], name: 'trail_store_bytes', help: 'Size of the store.' },
  { part: 'trail', path: ['store', 'restarts'], name: 'trail_store_restarts_total', help: 'Restarts of the thread that fills the store.', type: 'counter' },
  { part: 'trail', path: ['journal', 'lines'], name: 'trail_journal_lines_total', help: 'Lines written to the journal.', type: 'counter' },
  { part: 'trail', path: ['journal', 'backlog'], name: 'trail_journal_backlog', help: 'Lines that wait for the journal to be writable again.' },
  { part: 'trail', path: ['journal', 'failures'], name: 'trail_journal_failures_total', help: 'Writes to the journal that failed.', type: 'counter' },
  { part: 'trail', path: ['journal', 'unrecorded'], name: 'trail_unrecorded_total', help: 'Requests forwarded unrecorded because the setting says continue.', type: 'counter' },
  { part: 'trail', path: ['journal', 'lost'], name: 'trail_lost_outcomes_total', help: 'Outcomes that could not be kept.', type: 'counter' }
]

/** Numbers that rooms show in their details. */
export function detailMetrics (health: Health): MetricFamily[] {
  return [...Map.groupBy(details, ({ name }) => name)].map(([name, rows]) => ({
    name: prefix + name,
    help: rows[0]?.help ?? '',
    type: rows[0]?.type ?? 'gauge',
    collect: () => {
      const overview = health.overview()
      return rows.flatMap(row => readDetail(overview, row))
    }
  }))
}

function readDetail ({ parts }: Overview, { part, path, labels, scale = 1 }: Detail): Sample[] {
  let value: unknown = parts[part]?.details
  for (const step of path) value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[step] : undefined
  return typeof value === 'number' ? [{ ...(labels && { labels }), value: value * scale }] : []
}
