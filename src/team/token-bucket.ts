/**
 * A token bucket as a few numbers. Written here, in thirty lines, because every proxied request takes from it: a limiter from a
 * package costs a promise and a timer per key and request (rate-limiter-flexible's in-memory store some microseconds), this one
 * a multiplication, and it runs on any clock, so that fairness can be shown in simulated time.
 */
export interface Bucket {
  tokens: number
  /** When `tokens` was right, monotonic milliseconds. */
  atMs: number
  /** Nothing is added between these. */
  pauseFromMs: number
  pauseUntilMs: number
}

export interface Rate {
  perSecond: number
  /** Most tokens saved up: requests at once after a pause. At least 1. */
  burst: number
}

export function makeBucket (tokens: number, atMs: number): Bucket {
  return { tokens, atMs, pauseFromMs: 0, pauseUntilMs: 0 }
}

export function fillBucket (rate: Rate, nowMs: number): Bucket {
  return makeBucket(rate.burst, nowMs)
}

export function countTokens (bucket: Bucket, rate: Rate, nowMs: number): number {
  return Math.min(rate.burst, bucket.tokens + Math.max(0, nowMs - bucket.atMs - pausedMs(bucket, bucket.atMs, nowMs)) * rate.perSecond / 1000)
}

/** Takes one token. Returns 0, or the milliseconds until there will be one, having taken none. */
export function takeToken (bucket: Bucket, rate: Rate, nowMs: number): number {
  bucket.tokens = countTokens(bucket, rate, nowMs)
  bucket.atMs = nowMs
  // Rounding must not make a waiter come back a hair too early for ever.
  if (bucket.tokens > 1 - 1e-9) {
    bucket.tokens -= 1
    return 0
  }
  return msToToken(bucket, rate)
}

/** From when `tokens` was right. */
export function msToToken (bucket: Bucket, { perSecond }: Rate): number {
  const ms = Math.max(0, 1 - bucket.tokens) * 1000 / perSecond
  return ms + (bucket.atMs + ms > bucket.pauseFromMs ? pausedMs(bucket, bucket.atMs, Infinity) : 0)
}

/** Gives back a token that was taken for something that didn't happen. */
export function returnToken (bucket: Bucket, rate: Rate): void {
  bucket.tokens = Math.min(rate.burst, bucket.tokens + 1)
}

function pausedMs ({ pauseFromMs, pauseUntilMs }: Bucket, fromMs: number, untilMs: number): number {
  return Math.max(0, Math.min(untilMs, pauseUntilMs) - Math.max(fromMs, pauseFromMs))
}
