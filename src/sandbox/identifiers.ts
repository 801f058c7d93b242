import { randomBytes, randomInt } from 'node:crypto'

const secretAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const secretLength = 32

export interface Identifiers {
  /** 32 lower-case hex digits, of which the first 12 are the time in milliseconds, as the API's own ids are. Never the same twice. */
  next (): string
  /** The first three times as RFC 3339 with the six decimals the API writes. */
  now (): string
}

/** Ids of one sandbox: time, a number for the machine, a counter. */
export function makeIdentifiers (clock: () => number): Identifiers {
  const machine = randomBytes(6).toString('hex')
  let counter = 0
  return {
    next: () => hex(clock(), 12) + machine + hex(counter++ % 0x100000000, 8),
    now: () => timestamp(clock())
  }
}

/** RFC 3339 in UTC with microseconds, e.g. `2017-05-22T12:37:55.576000Z`. */
export function timestamp (ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}

export function hex (value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

/**
 * A new access key in the API's shape, 111 characters: `ak_`, a version digit, 43 characters of unpadded base64 of the
 * account's id, the key's id, a secret of 32 characters. The first 79 are the public part.
 */
export function mintAccessKey (accountId: string, keyId: string, version: 1 | 2 = 2): string {
  const account = Buffer.from(accountId).toString('base64').replaceAll('=', '')
  return `ak_${version}${account}${keyId}${mintSecret()}`
}

export function publicPart (key: string): string {
  return key.slice(0, key.length - secretLength)
}

function mintSecret (): string {
  return Array.from({ length: secretLength }, () => secretAlphabet[randomInt(secretAlphabet.length)]).join('')
}
