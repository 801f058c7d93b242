import { sources, type Rule } from './rule.ts'

/** The one notification channel that an application has. */
export const channelRules: Rule[] = [
  {
    rule: 'no_channel',
    status: [404],
    path: /^\/v2\/notification\//,
    likely: 'No notification channel of this kind is registered for the application.',
    next: 'Listen through the proxy (/_proxy/notifications, or the API\'s own paths): it registers and keeps the channel.',
    source: sources.events
  },
  {
    rule: 'poll_already_open',
    status: [409],
    path: /^\/v2\/notification\/pull/,
    likely: 'Another long poll of the same application is open. There can be only one.',
    next: 'Let everybody listen through one proxy: it holds the one poll and shares the events.',
    source: sources.events
  },
  {
    rule: 'channel_deleted',
    status: [410],
    path: /^\/v2\/notification\//,
    likely: 'The channel was deleted and is not purged yet.',
    next: 'Wait two minutes before polling again.',
    source: sources.specification
  },
  {
    rule: 'handshake_in_progress',
    status: [429],
    path: /^\/v2\/notification\/websocket-connect/,
    likely: 'Another WebSocket handshake with the same key was going on.',
    next: 'Connect again after a moment, with growing pauses; through the proxy only one connection is ever made.',
    source: sources.specification
  },
  {
    rule: 'upgrade_required',
    status: [426],
    likely: 'This path opens a WebSocket, and the request was an ordinary one.',
    next: 'Use a WebSocket client: ws:// and the proxy\'s address.',
    source: sources.specification
  }
]
