import type { StateMap } from './state-journal.ts'

/** One device request whose answer is to come over the channel. */
export interface Asker {
  /** The member who asked; `null` for a request of the proxy's own, whose answer nobody waits for. */
  member: string | null
  /** The id the member knows the request by. */
  clientId: string
  /** Id of the trail entry of the request, `''` if it is unknown. */
  trailId: string
  /** Milliseconds since the epoch. */
  askedAt: number
  expiresAt: number
}

export interface AsyncLimits {
  /** Requests without an answer, of one member and of all. */
  perMember: number
  total: number
}

const prefix = 'async:'

/**
 * Who asked what: from the ids that went upstream to the ids of the members. The ids upstream are random, so that two
 * members may choose the same one and none can guess another's (the API takes only 1–40 of `[A-Za-z0-9_-]`, too few to
 * prefix a member's own id with anything).
 */
export class AsyncIds {
  readonly #state: StateMap
  readonly #limits: AsyncLimits
  readonly #askers = new Map<string, Asker>()
  readonly #open = new Map<string | null, number>()

  constructor (state: StateMap, limits: AsyncLimits, nowMs: number) {
    this.#state = state
    this.#limits = limits
    for (const [key, value] of state.entries(prefix)) this.#keep(key.slice(prefix.length), value as Asker)
    this.expire(nowMs)
  }

  get size (): number { return this.#askers.size }

  hasRoom (member: string): boolean {
    return this.#askers.size < this.#limits.total && (this.#open.get(member) ?? 0) < this.#limits.perMember
  }

  /** Remembers the asker; it is in the state before the call returns. */
  add (upstreamId: string, asker: Asker): void {
    this.#keep(upstreamId, asker)
    this.#state.set(prefix + upstreamId, asker)
  }

  /** Who asked, once: the id is forgotten with it. */
  take (upstreamId: string): Asker | undefined {
    const asker = this.#askers.get(upstreamId)
    if (asker === undefined) return undefined
    this.#askers.delete(upstreamId)
    this.#count(asker.member, -1)
    this.#state.delete(prefix + upstreamId)
    return asker
  }

  expire (nowMs: number): void {
    for (const [upstreamId, { expiresAt }] of this.#askers) {
      if (expiresAt <= nowMs) this.take(upstreamId)
    }
  }

  #keep (upstreamId: string, asker: Asker): void {
    if (!this.#askers.has(upstreamId)) this.#count(asker.member, 1)
    this.#askers.set(upstreamId, asker)
  }

  #count (member: string | null, change: number): void {
    const count = (this.#open.get(member) ?? 0) + change
    if (count === 0) this.#open.delete(member)
    else this.#open.set(member, count)
  }
}
