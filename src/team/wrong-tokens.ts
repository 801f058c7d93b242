import { fillBucket, takeToken, type Bucket, type Rate } from './token-bucket.ts'

/** How often one address is worth a line in the log. */
const remindMs = 60_000

const allowance: Rate = { perSecond: 5, burst: 50 }

/** Addresses remembered; beyond that the one that has been good for longest is forgotten. */
const mostAddresses = 10_000

/**
 * Counts wrong tokens by address. Right ones pass from any address, so nobody is locked out by a neighbour behind the same
 * NAT; guessing 256 bits is hopeless anyway, this keeps the noise down. IPv6 clients are counted by their /64.
 */
export class WrongTokens {
  readonly #networks = new Map<string, { bucket: Bucket, remindedMs: number }>()
  readonly #onLimited: (network: string) => void

  /** @param onLimited called when a network begins to be limited, and once a minute while it goes on */
  constructor (onLimited: (network: string) => void) {
    this.#onLimited = onLimited
  }

  /** Notes a wrong token. Returns 0, or the milliseconds until the address may be wrong again. */
  note (address: string, nowMs: number): number {
    const network = findNetwork(address)
    const known = this.#networks.get(network) ?? { bucket: fillBucket(allowance, nowMs), remindedMs: -Infinity }
    this.#networks.delete(network)
    this.#networks.set(network, known)
    if (this.#networks.size > mostAddresses) this.#networks.delete(this.#networks.keys().next().value as string)
    const waitMs = takeToken(known.bucket, allowance, nowMs)
    if (waitMs > 0 && nowMs - known.remindedMs >= remindMs) {
      known.remindedMs = nowMs
      this.#onLimited(network)
    }
    return waitMs
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
