import type { Kind, KeyLimits, Refusal } from './limits.ts'
import type { Rate } from './token-bucket.ts'

const nouns: Record<Kind, string> = { request: 'requests', longPoll: 'long polls', webSocket: 'WebSockets and event streams', own: 'requests to the proxy itself' }

export function tooManyOpen (kind: Kind, most: number): Refusal {
  return { type: 'concurrency_limited', message: `This member may have ${most} ${nouns[kind]} open at the same time.`, retryAfter: 1 }
}

export function allOfKindOpen (kind: Kind, most: number): Refusal {
  return { type: 'concurrency_limited', message: `All members together may have ${most} ${nouns[kind]} open at the same time.`, retryAfter: 1 }
}

export function budgetSpent (daily: number, msToMidnight: number): Refusal {
  return { type: 'budget_spent', message: `This member's ${daily} requests of the day (UTC) are used up.`, retryAfter: toSeconds(msToMidnight) }
}

export function rateReached (rate: Rate, waitMs: number): Refusal {
  return { type: 'rate_limited', message: `This member may send ${describeRate(rate)}.`, retryAfter: toSeconds(waitMs) }
}

/** Waited in vain for the key's shared limit. */
export function keyBusy ({ rate, concurrency }: KeyLimits, isFull: boolean, waiting: number): Refusal {
  if (concurrency !== null && isFull) {
    return { type: 'concurrency_limited', message: `All ${concurrency} places that the members of this proxy share are taken.`, retryAfter: 1 }
  }
  const retryAfter = toSeconds(rate === null ? 0 : waiting * 1000 / rate.perSecond)
  return { type: 'rate_limited', message: 'The members of this proxy together ask for more than the limit set for the shared key.', retryAfter }
}

function toSeconds (ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000))
}

function describeRate ({ perSecond, burst }: Rate): string {
  const text = perSecond >= 1 ? `${trim(perSecond)} requests a second` : perSecond >= 1 / 60 ? `${trim(perSecond * 60)} requests a minute` : `${trim(perSecond * 3600)} requests an hour`
  return `${text}, ${burst} at once after a pause`
}

function trim (value: number): string {
  return String(Math.round(value * 1000) / 1000)
}
