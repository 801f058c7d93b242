/** A rotation reaches all instances within this time: Kubernetes takes a minute or two to bring a changed secret to every node. */
const rotationMs = 180_000

/** How many instances use which access key, by fingerprint. */
export type KeyUsers = ReadonlyMap<string, number>

/**
 * Do all instances use the same access key? Of two keys the API has two notification channels and two limits, so instances with
 * different keys must not act as one. While a key is rotated they have different ones all the same, for a short time.
 */
export class KeyAgreement {
  #users: KeyUsers = new Map()
  #sinceMs: number | undefined
  #lasts = false

  /** @returns what has changed: they differ; they have for longer than a rotation takes; they are the same again */
  note (users: KeyUsers, nowMs: number): 'differ' | 'last' | 'agree' | undefined {
    this.#users = users
    if (users.size <= 1) return this.#agree()
    if (this.#sinceMs === undefined) {
      this.#sinceMs = nowMs
      return 'differ'
    }
    if (this.#lasts || nowMs - this.#sinceMs < rotationMs) return undefined
    this.#lasts = true
    return 'last'
  }

  get keys (): number { return this.#users.size }

  /** For people; `undefined` unless it lasts longer than a rotation. */
  get problem (): string | undefined {
    return this.#lasts ? `instances under this PROXY_REDIS_PREFIX use different access keys (${this.describe()}): give those with another key a prefix of their own, or finish the rotation` : undefined
  }

  /** Such as `2 with sha256:12345678, 1 with sha256:87654321`. */
  describe (): string {
    return [...this.#users].map(([fingerprint, count]) => `${count} with ${fingerprint}`).sort().join(', ')
  }

  #agree (): 'agree' | undefined {
    const differed = this.#sinceMs !== undefined
    this.#sinceMs = undefined
    this.#lasts = false
    return differed ? 'agree' : undefined
  }
}
