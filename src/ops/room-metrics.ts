import type { FastifyInstance } from 'fastify'
import type { HealthReport } from '../decorations.ts'
import type { Health } from './health.ts'
import { prefix, type MetricFamily } from './metric-family.ts'

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
    { name: `${prefix}member_open_requests`, help: 'Requests a member has open, on all instances that share limits.', type: 'gauge', collect: members(({ open }) => open) },
    { name: `${prefix}member_concurrency_limit`, help: 'Requests a member may have open, if limited.', type: 'gauge', collect: members(({ concurrency }) => concurrency) },
    { name: `${prefix}member_requests_today`, help: 'Requests of this day (UTC) that count against the daily limit, on all instances.', type: 'gauge', collect: members(({ requestsToday }) => requestsToday) },
    { name: `${prefix}member_daily_limit`, help: 'Requests a member may make in a day, if limited.', type: 'gauge', collect: members(({ daily }) => daily) },
    { name: `${prefix}member_refused_today`, help: 'Requests of this day that were refused, on all instances.', type: 'gauge', collect: members(({ refusedToday }) => refusedToday) }
  ]
}
