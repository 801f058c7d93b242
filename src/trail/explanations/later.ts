import { sources, type Rule } from './rule.ts'

/** What came after the answer: the close of a WebSocket, the answer of a device. */
export const laterRules: Rule[] = [
  {
    rule: 'channel_displaced',
    closeCode: [1001],
    path: /^\/v2\/notification\//,
    likely: 'A second connection with the same application took the channel over: a channel has one connection at a time.',
    next: 'Find who else uses this application\'s key, and give them the proxy\'s address, or an application of their own.',
    source: sources.events
  },
  {
    rule: 'websocket_key_lost',
    closeCode: [1008],
    likely: 'The key became invalid while the WebSocket was open.',
    next: 'Run `izuma-proxy check`, and replace the key.',
    source: sources.specification
  },
  {
    rule: 'websocket_without_channel',
    closeCode: [1011],
    likely: 'There was no channel to connect to, or the service failed.',
    next: 'Register the channel first (PUT /v2/notification/websocket) and wait a few seconds; or listen through the proxy, which does that.',
    source: sources.specification
  },
  {
    rule: 'device_failed',
    asyncStatus: [400, 404, 405, 408, 410, 412, 413, 429, 500, 502, 503, 504],
    likely: 'The API took the request, the device did not carry it out. The status of an asynchronous answer is the device\'s, not the API\'s.',
    next: 'Look at the device: 429 its queue, 502 to 504 its connection, 4xx its resource.',
    source: sources.specification
  }
]
