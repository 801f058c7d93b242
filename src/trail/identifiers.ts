import { randomBytes } from 'node:crypto'

const hexBytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Twelve random hex digits, the end of all ids that a process gives. */
export function drawProcessId (): string {
  return randomBytes(6).toString('hex')
}

/** The process that gave an id. */
export function processOf (id: string): string {
  return id.slice(-12)
}

/**
 * Makes ids of 32 lowercase hex digits that sort by time, as the API's own request ids do: 12 digits of milliseconds
 * since 1970, 8 of a counter, 12 random ones that tell this process from any other. They name a record, they don't
 * guard it, so no random number is drawn per request.
 */
export function createIdMaker (random: string = drawProcessId()): (nowMs: number) => string {
  let lastMs = -1
  let time = ''
  let count = 0
  return nowMs => {
    if (nowMs !== lastMs) {
      lastMs = nowMs
      time = Math.max(0, nowMs).toString(16).padStart(12, '0')
    }
    count = (count + 1) >>> 0
    return time + hexByte(count >>> 24) + hexByte(count >>> 16) + hexByte(count >>> 8) + hexByte(count) + random
  }
}

function hexByte (value: number): string {
  return hexBytes[value & 255] as string
}

/** RFC 3339 in UTC with milliseconds. The part that changes once a second is kept, as this runs for every request. */
export function createTimestamper (): (nowMs: number) => string {
  let second = Number.NaN
  let prefix = ''
  return nowMs => {
    const current = Math.floor(nowMs / 1000)
    if (current !== second) {
      second = current
      prefix = new Date(current * 1000).toISOString().slice(0, 20)
    }
    return prefix + String(nowMs - current * 1000).padStart(3, '0') + 'Z'
  }
}

const idPattern = /^[0-9a-f]{32}$/

export function isId (text: string): boolean {
  return idPattern.test(text)
}
