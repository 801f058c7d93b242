/**
 * A token bucket as two numbers. Written here, in twenty lines, because every proxied request takes from it: a limiter from a
 * package costs a promise and a timer per key and request (rate-limiter-flexible's in-memory store some microseconds), this one
 * a multiplication, and it runs on any clock, so that fairness can be shown in simulated time.
 */
export interface Bucket {
  tokens: number
  /** When `tokens` was right, monotonic milliseconds. */
  atMs: number
}

export interface Rate {
  perSecond: number
  /** Most tokens saved up: requests at once after a pause. At least 1. */
  burst: number
}

export function fillBucket (rate: Rate, nowMs: number): Bucket {
  return { tokens: rate.burst, atMs: nowMs }
}

export function countTokens ({ tokens, atMs }: Bucket, rate: Rate, nowMs: number): number {
  return Math.min(rate.burst, tokens + Math.max(0, nowMs - atMs) * rate.perSecond / 1000)
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
  return (1 - bucket.tokens) * 1000 / rate.perSecond
}

/** Gives back a token that was taken for something that didn't happen. */
export function returnToken (bucket: Bucket, rate: Rate): void {
  bucket.tokens = Math.min(rate.burst, bucket.tokens + 1)
}
