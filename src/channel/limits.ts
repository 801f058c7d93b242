/** The room's own bounds. Fixed but for tests and benchmarks; what an operator may set is in the settings table. */
export interface ChannelLimits {
  /** The upstream connection is kept this long after the last listener left. */
  lingerMs: number
  /** Events older than the API would keep them are dropped. */
  replayMs: number
  /** Bytes under way to one listener; what is beyond waits in the shared log. */
  listenerBytes: number
  /** Bytes kept for single listeners (what a policy narrows is made for one alone), of all together. */
  ownBytes: number
  /** A listener that takes nothing for this long is closed. */
  stallMs: number
  /** WebSockets, event streams and polls open at the same time. */
  listeners: number
  /** Named queues of one member. */
  consumersPerMember: number
  pollWaitMs: number
  /** How long a member's PUT, or a request that waits, waits for the upstream channel. */
  readyMs: number
  /** How long an answer waits for the 202 that it overtook. */
  earlyAnswerMs: number
  earlyAnswerBytes: number
  /** Device requests without an answer. */
  askedPerMember: number
  askedInTotal: number
  /** Items whose `uid` is remembered, to drop what comes twice. */
  uids: number
  handshakeMs: number
  /** Longest request body that the room reads. */
  bodyBytes: number
  /** Scales the delays between attempts to connect upstream. */
  timeScale: number
}

export const defaultLimits: ChannelLimits = {
  lingerMs: 600_000,
  replayMs: 24 * 3_600_000,
  listenerBytes: 256 * 1024,
  ownBytes: 64 * 1024 * 1024,
  stallMs: 30_000,
  listeners: 5_000,
  consumersPerMember: 100,
  pollWaitMs: 30_000,
  readyMs: 10_000,
  earlyAnswerMs: 10_000,
  earlyAnswerBytes: 4 * 1024 * 1024,
  askedPerMember: 20_000,
  askedInTotal: 100_000,
  uids: 20_000,
  handshakeMs: 15_000,
  bodyBytes: 4 * 1024 * 1024,
  timeScale: 1
}
