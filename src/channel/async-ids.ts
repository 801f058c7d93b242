import type { StateMap } from './state-journal.ts'

/** One device request whose answer is to come over the channel. */
export interface Asker {
  /** The member who asked; `null` for a request of the proxy's own, whose answer nobody waits for. */
  member: string | null
  /** The id the member knows the request by. */
  clientId: string
  /** Id of the trail entry of the request, `''` if it is unknown. */
  trailId: string
  /** The instance that sent the request. */
  instance: string
  /** The request is still open there, and its client waits for the answer. */
  waits: boolean
  /** When the answer was put on the log (milliseconds since the epoch), while that instance has yet to take it from there. */
  answeredAt?: number
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
    state.onForeignChange((key, value) => { if (key.startsWith(prefix)) this.#follow(key.slice(prefix.length), value as Asker | undefined) })
  }

  /** Called when another instance has sent a request. */
  onLearned: (upstreamId: string) => void = () => {}

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
    this.#drop(upstreamId, asker)
    this.#state.delete(prefix + upstreamId)
    return asker
  }

  find (upstreamId: string): Asker | undefined { return this.#askers.get(upstreamId) }

  /** Remembers something else of an asker that is known. */
  change (upstreamId: string, changes: Partial<Pick<Asker, 'waits' | 'answeredAt'>>): void {
    const asker = this.#askers.get(upstreamId)
    if (asker !== undefined) this.add(upstreamId, { ...asker, ...changes })
  }

  /** Answers that waited on the log since then for an instance to take them: it is gone. */
  leftSince (thenMs: number): string[] {
    return [...this.#askers].filter(([, { answeredAt }]) => answeredAt !== undefined && answeredAt <= thenMs).map(([upstreamId]) => upstreamId)
  }

  expire (nowMs: number): void {
    for (const [upstreamId, { expiresAt }] of this.#askers) {
      if (expiresAt <= nowMs) this.take(upstreamId)
    }
  }

  #follow (upstreamId: string, asker: Asker | undefined): void {
    const known = this.#askers.get(upstreamId)
    if (asker !== undefined) this.#keep(upstreamId, asker)
    else if (known !== undefined) this.#drop(upstreamId, known)
    if (asker !== undefined && known === undefined) this.onLearned(upstreamId)
  }

  #drop (upstreamId: string, { member }: Asker): void {
    this.#askers.delete(upstreamId)
    this.#count(member, -1)
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
