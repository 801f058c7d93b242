import type { Health, Overview } from './health.ts'
import { prefix, type MetricFamily, type Sample } from './metric-family.ts'

/**
 * A value in a part's details, by its way there. A number is taken times `scale`, a time as seconds since the epoch,
 * and of a text (a state) the sample is 1 with the text as label `of`. What isn't there has no sample.
 */
interface Detail { part: string, path: string, name: string, help: string, type?: 'counter', labels?: Record<string, string>, scale?: number, of?: string }

const connectionStates = ['open', 'running', 'queued', 'warm']
const listenerKinds = ['websocket', 'event_stream', 'long_poll']

const details: Detail[] = [
  ...connectionStates.map((state): Detail => ({ part: 'upstream', path: `connections.${state}`, name: 'upstream_connections', help: 'Connections to the API (open, running, warm) and requests that wait for one (queued).', labels: { state } })),

  { part: 'team', path: 'open', name: 'key_open_requests', help: 'Requests of all members that are open with the one key, on all instances that share limits.' },
  { part: 'team', path: 'waiting', name: 'key_waiting_requests', help: 'Requests that wait for their turn within the key\'s limits, on all instances that share them.' },
  { part: 'team', path: 'shared', name: 'limits_shared', help: '1 while the limits are kept with the other instances, 0 while this one is on its own with a share.' },

  { part: 'fleet', path: 'up', name: 'fleet_redis_up', help: '1 while Redis answers.' },
  { part: 'fleet', path: 'instances', name: 'fleet_instances', help: 'Instances alive, this one included; while Redis is away the number last known.' },

  { part: 'trail', path: 'store.behindMs', name: 'trail_lag_seconds', help: 'How far the searchable store is behind the journal.', scale: 1e-3 },
  { part: 'trail', path: 'store.storeBytes', name: 'trail_store_bytes', help: 'Size of the store.' },
  { part: 'trail', path: 'store.restarts', name: 'trail_store_restarts_total', help: 'Restarts of the thread that fills the store.', type: 'counter' },
  { part: 'trail', path: 'journal.lines', name: 'trail_journal_lines_total', help: 'Lines written to the journal.', type: 'counter' },
  { part: 'trail', path: 'journal.backlog', name: 'trail_journal_backlog', help: 'Lines that wait for the journal to be writable again.' },
  { part: 'trail', path: 'journal.failures', name: 'trail_journal_failures_total', help: 'Writes to the journal that failed.', type: 'counter' },
  { part: 'trail', path: 'journal.unrecorded', name: 'trail_unrecorded_total', help: 'Requests forwarded unrecorded because the setting says continue.', type: 'counter' },
  { part: 'trail', path: 'journal.lost', name: 'trail_lost_outcomes_total', help: 'Outcomes that could not be kept.', type: 'counter' },

  { part: 'channel', path: 'state', name: 'channel_state', help: 'State of the one notification channel: the sample whose state it is in is 1.', of: 'state' },
  ...listenerKinds.map((kind): Detail => ({ part: 'channel', path: `listeners.${kind}`, name: 'channel_listeners', help: 'Members that listen.', labels: { kind } })),
  { part: 'channel', path: 'messages', name: 'channel_messages_total', help: 'Messages that came over the channel.', type: 'counter' },
  { part: 'channel', path: 'last_message_at', name: 'channel_last_message_timestamp_seconds', help: 'When the last message came.' },
  { part: 'channel', path: 'connects', name: 'channel_connects_total', help: 'Times the channel was opened.', type: 'counter' },
  { part: 'channel', path: 'evictions', name: 'channel_evictions_total', help: 'Times somebody else took the channel: the key is used outside the proxy.', type: 'counter' },
  { part: 'channel', path: 'gaps', name: 'channel_gaps_total', help: 'Times events may have been missed.', type: 'counter' },
  { part: 'channel', path: 'unreadable_messages', name: 'channel_unreadable_messages_total', help: 'Messages that were no JSON.', type: 'counter' },
  { part: 'channel', path: 'stalled_listeners', name: 'channel_stalled_listeners_total', help: 'Listeners cut off because they did not read.', type: 'counter' },
  { part: 'channel', path: 'replay.bytes', name: 'channel_replay_bytes', help: 'Events kept for replay.' },
  { part: 'channel', path: 'unanswered_requests', name: 'channel_unanswered_requests', help: 'Device requests whose asynchronous answer has not come.' },
  { part: 'channel', path: 'subscriptions', name: 'channel_subscriptions', help: 'Subscriptions kept for members.' },

  { part: 'channel', path: 'fleet.holds_lease', name: 'channel_lease_held', help: '1 at the instance that holds the channel, if several share it.' },
  { part: 'channel', path: 'fleet.takeovers', name: 'channel_takeovers_total', help: 'Times this instance came to hold the channel.', type: 'counter' },
  { part: 'channel', path: 'fleet.stream_lag', name: 'channel_stream_lag', help: 'Events of the shared stream that this instance has still to read.' },
  { part: 'channel', path: 'fleet.held_events', name: 'channel_held_events', help: 'Events that wait for Redis.' },
  { part: 'channel', path: 'fleet.dropped_events', name: 'channel_dropped_events_total', help: 'Events that were too many to wait for Redis.', type: 'counter' },

  { part: 'tracing', path: 'exported', name: 'spans_exported_total', help: 'Spans the collector took.', type: 'counter' },
  { part: 'tracing', path: 'failed', name: 'spans_failed_total', help: 'Spans the collector did not take.', type: 'counter' }
]

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

function readDetail ({ parts }: Overview, { part, path, labels, scale = 1, of }: Detail): Sample[] {
  let value: unknown = parts[part]?.details
  for (const step of path.split('.')) value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[step] : undefined
  if (of !== undefined) return typeof value === 'string' ? [{ labels: { [of]: value }, value: 1 }] : []
  const number = typeof value === 'string' ? Date.parse(value) / 1000 : value
  return typeof number === 'number' && Number.isFinite(number) ? [{ ...(labels && { labels }), value: number * scale }] : []
}
