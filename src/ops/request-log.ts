import type { Logger } from 'pino'
import type { OpenEntry, OutcomeKind } from '../trail/record.ts'

type Level = 'debug' | 'info' | 'warn' | 'error'

/** Paths come from clients; a line stays a line of bearable length. */
const maxPathLength = 1024

const levels: Record<OutcomeKind, Level> = {
  open: 'info',
  answered: 'info',
  refused: 'warn',
  failed: 'error',
  truncated: 'error',
  client_aborted: 'info',
  own: 'info',
  unfinished: 'warn'
}

/** Probes and scrapes come every few seconds and tell nothing when they go well. */
const routine = /^\/_proxy\/(livez|readyz|metrics)$/

/** How much a closed request deserves to be noticed. */
export function chooseLevel ({ outcome, status, path }: OpenEntry): Level {
  if (outcome === 'own' && (status ?? 0) < 400 && routine.test(path)) return 'debug'
  if ((outcome === 'answered' || outcome === 'own') && (status ?? 0) >= 500) return 'warn'
  return levels[outcome]
}

/** One line for each request, when it ends. The query stays in the trail: filters hold device and user data. */
export function logRequest (log: Pick<Logger, Level | 'isLevelEnabled'>, entry: OpenEntry): void {
  const level = chooseLevel(entry)
  if (log.isLevelEnabled(level)) log[level](describeRequest(entry), 'request')
}

function describeRequest (entry: OpenEntry) {
  const line: Record<string, unknown> = {
    id: entry.id,
    member: entry.member,
    method: entry.method,
    path: entry.path.length > maxPathLength ? entry.path.slice(0, maxPathLength) + '…' : entry.path,
    status: entry.status,
    outcome: entry.outcome,
    upstream_request_id: entry.upstream_request_id,
    duration_ms: entry.duration_ms === null ? null : Math.round(entry.duration_ms * 10) / 10,
    ttfb_ms: entry.ttfb_ms === null ? null : Math.round(entry.ttfb_ms * 10) / 10,
    bytes_in: entry.bytes_in,
    bytes_out: entry.bytes_out
  }
  if (entry.kind !== 'request') line['kind'] = entry.kind
  if (entry.error_type !== null) line['error_type'] = entry.error_type
  if (entry.attempts > 1) line['attempts'] = entry.attempts
  if (entry.close_code !== null) line['close_code'] = entry.close_code
  if (entry.notes !== '') line['notes'] = entry.notes
  if (entry.trace_id !== '') line['trace_id'] = entry.trace_id
  return line
}
