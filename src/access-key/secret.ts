import { createHash } from 'node:crypto'
import { inspect } from 'node:util'

/**
 * A value that must never be printed. Every way of turning it into text shows its fingerprint;
 * only `reveal()` gives the value, and only the code that sends it upstream calls that.
 */
export class Secret {
  readonly #value: string
  /** `sha256:` and the first 8 hex digits of the digest: enough to tell two keys apart, useless to anybody else. */
  readonly fingerprint: string

  constructor (value: string) {
    this.#value = value
    this.fingerprint = 'sha256:' + createHash('sha256').update(value).digest('hex').slice(0, 8)
  }

  reveal (): string { return this.#value }

  equals (other: Secret | undefined): boolean { return other !== undefined && other.#value === this.#value }

  toString (): string { return `[secret ${this.fingerprint}]` }

  toJSON (): string { return this.toString() }

  [inspect.custom] (): string { return this.toString() }

  [Symbol.toPrimitive] (): string { return this.toString() }
}

/** What other rooms may ask of the access key. */
export interface AccessKeyService {
  /** The key to send now, or `undefined` when none can be read. */
  current (): Secret | undefined
  /** Says which status upstream gave to a request that carried this key: proves it, or (401) casts doubt on it. */
  reportAnswer (key: Secret, status: number): void
  /** Called with the new key after each change. Returns an unsubscribe function. */
  onChange (listener: (key: Secret | undefined) => void): () => void
  /** Every key that may still be in flight: what scrubbing has to look for. */
  known (): readonly Secret[]
  /** Reads the key anew, now. */
  reload (): void
}
