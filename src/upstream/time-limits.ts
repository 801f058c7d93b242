import type { Settings } from '../config/table.ts'

export interface TimeLimits { headersTimeout: number, bodyTimeout: number }

/** Routes whose answers are allowed to take long, by the API's own documentation. */
const longPolls = /^\/v2\/notification\/pull\/?$/i

/** The API answers a poll after about 30 s; twice that and some more is certainly a dead connection. */
const longPollTimeoutMs = 150_000

export function makeTimeLimits (settings: Pick<Settings, 'upstreamHeadersTimeout' | 'upstreamBodyIdleTimeout'>) {
  const usual: TimeLimits = { headersTimeout: settings.upstreamHeadersTimeout, bodyTimeout: settings.upstreamBodyIdleTimeout }
  const longPoll: TimeLimits = { headersTimeout: longPollTimeoutMs, bodyTimeout: usual.bodyTimeout }
  const eventStream: TimeLimits = { headersTimeout: usual.headersTimeout, bodyTimeout: 0 }

  /** Milliseconds for this request; a body limit of 0 means none (event streams are silent for as long as they like). */
  return function timeLimits (canonicalPath: string, accept: string | undefined): TimeLimits {
    if (accept !== undefined && accept.startsWith('text/event-stream')) return eventStream
    return longPolls.test(canonicalPath) ? longPoll : usual
  }
}
