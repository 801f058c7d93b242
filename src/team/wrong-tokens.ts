import { fillBucket, takeToken, type Bucket, type Rate } from './token-bucket.ts'

/** How often one address is worth a line in the log. */
const remindMs = 60_000

const allowance: Rate = { perSecond: 5, burst: 50 }

/** Addresses remembered; beyond that the one that has been good for longest is forgotten. */
const mostAddresses = 10_000

/** Asks those who share the limit for ms to wait; `undefined` = decide alone. */
export type AskFleet = (network: string, rate: Rate, done: (waitMs: number | undefined) => void) => void

interface Network { bucket: Bucket, limitedUntilMs: number, remindedMs: number }

/**
 * Counts wrong tokens by address. Right ones pass from any address, so nobody is locked out by a neighbour behind the same
 * NAT; guessing 256 bits is hopeless anyway, this keeps the noise down. IPv6 clients are counted by their /64.
 */
export class WrongTokens {
  readonly #networks = new Map<string, Network>()
  readonly #onLimited: (network: string) => void
  readonly #askFleet: AskFleet

  /** @param onLimited called when a network begins to be limited, and once a minute while it goes on */
  constructor (onLimited: (network: string) => void, askFleet: AskFleet = (_network, _rate, done) => done(undefined)) {
    this.#onLimited = onLimited
    this.#askFleet = askFleet
  }

  /** Notes a wrong token. Calls back with 0, or the milliseconds until the address may be wrong again. */
  note (address: string, nowMs: number, done: (waitMs: number) => void): void {
    const name = findNetwork(address)
    const network = this.#find(name, nowMs)
    if (network.limitedUntilMs > nowMs) return done(network.limitedUntilMs - nowMs)
    this.#askFleet(name, allowance, waitMs => {
      const waits = waitMs ?? takeToken(network.bucket, allowance, nowMs)
      if (waits > 0) this.#limit(name, network, nowMs + waits, nowMs)
      done(waits)
    })
  }

  #find (name: string, nowMs: number): Network {
    const network = this.#networks.get(name) ?? { bucket: fillBucket(allowance, nowMs), limitedUntilMs: 0, remindedMs: -Infinity }
    this.#networks.delete(name)
    this.#networks.set(name, network)
    if (this.#networks.size > mostAddresses) this.#networks.delete(this.#networks.keys().next().value as string)
    return network
  }

  #limit (name: string, network: Network, untilMs: number, nowMs: number): void {
    network.limitedUntilMs = untilMs
    if (nowMs - network.remindedMs < remindMs) return
    network.remindedMs = nowMs
    this.#onLimited(name)
  }
}

/** An IPv4 address as it is, also when it comes mapped into IPv6; of other IPv6 addresses the first four groups. */
export function findNetwork (address: string): string {
  if (!address.includes(':')) return address
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  const [head = '', tail] = (address.split('%')[0] as string).split('::')
  const groups = head === '' ? [] : head.split(':')
  const rest = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - groups.length - rest.length
  return [...groups, ...Array<string>(Math.max(0, zeros)).fill('0'), ...rest].slice(0, 4).join(':')
}
