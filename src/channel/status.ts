import type { HealthReport } from '../decorations.ts'
import { openStates } from './link.ts'
import type { ChannelRoom } from './room.ts'

/** What `status` and `readyz` say of the channel. Times are RFC 3339. */
export function describeChannel (room: ChannelRoom, stateFailure: Error | undefined): HealthReport {
  const { link, fanOut, intake, parts, standing } = room
  const { events, bytes, oldestAt } = parts.log.stats()
  const wanted = room.demand.isWanted(Date.now())
  const { isShared, up } = parts.sharing
  const isOpen = openStates.includes(standing.state)
  const troubled = standing.state === 'taken' || (wanted && !isOpen) || stateFailure !== undefined || !up
  return {
    state: standing.state === 'refused' ? 'failed' : troubled ? 'degraded' : 'ok',
    // A key that the API has revoked serves nobody; everything else leaves the rest of the API usable.
    ready: standing.state !== 'refused',
    details: {
      mode: parts.settings.channel,
      state: standing.state,
      connected_since: formatTime(standing.connectedAt),
      retry_at: formatTime(link.retryAt),
      last_close: link.lastClose && { code: link.lastClose.code, at: formatTime(link.lastClose.at) },
      taken_by: standing.takenBy,
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
      ...(isShared && { fleet: { ...parts.sharing.describe(), takeovers: room.takeovers } }),
      state_file: stateFailure === undefined ? 'written' : 'cannot be written'
    }
  }
}

function formatTime (ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
