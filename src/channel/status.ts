import type { HealthReport } from '../decorations.ts'
import type { ChannelRoom } from './room.ts'

/** What `status` and `readyz` say of the channel. Times are RFC 3339. */
export function describeChannel (room: ChannelRoom, stateFailure: Error | undefined): HealthReport {
  const { link, fanOut, intake, parts } = room
  const { events, bytes, oldestAt } = parts.log.stats()
  const wanted = room.demand.isWanted(Date.now())
  const troubled = link.state === 'taken' || (wanted && !link.isOpen) || stateFailure !== undefined
  return {
    state: link.state === 'refused' ? 'failed' : troubled ? 'degraded' : 'ok',
    // A key that the API has revoked serves nobody; everything else leaves the rest of the API usable.
    ready: link.state !== 'refused',
    details: {
      mode: parts.settings.channel,
      state: link.state,
      connected_since: formatTime(link.connectedAt),
      retry_at: formatTime(link.retryAt),
      last_close: link.lastClose && { code: link.lastClose.code, at: formatTime(link.lastClose.at) },
      taken_by: link.takenBy,
      connects: link.connects,
      evictions: room.incidents.evictions,
      last_eviction_at: formatTime(room.incidents.lastEvictionAt),
      messages: intake.messages,
      last_message_at: formatTime(intake.lastMessageAt),
      unreadable_messages: intake.unreadable,
      gaps: room.incidents.gaps,
      listeners: { websocket: fanOut.count('websocket'), event_stream: fanOut.count('event_stream'), long_poll: fanOut.count('long_poll') },
      stalled_listeners: room.listeners.stalled,
      replay: { events, bytes, oldest_at: formatTime(oldestAt) },
      channels: room.channels.size,
      subscriptions: room.subscriptions.size,
      unanswered_requests: room.ids.size,
      unclaimed_answers: room.early.unclaimed,
      state_file: stateFailure === undefined ? 'written' : 'cannot be written'
    }
  }
}

function formatTime (ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
