import type { KnownProxy } from '../bundle-context.ts'
import { noteLife, prune, type RetentionLimits } from './housekeeping.ts'
import { forgetProxies, noteProxy } from './proxies.ts'
import type { Store } from './store.ts'

export interface HousekeeperOptions {
  retention: RetentionLimits
  /** Milliseconds since 1970. */
  now: () => number
  /** How often retention is looked after. */
  housekeepingMs?: number | undefined
  /** The process whose requests these are, where they are its own. */
  proxy?: KnownProxy | undefined
  /** Something is to be done: `keep` is to be called when nothing else is going on. */
  wake: () => void
}

const usualHousekeepingMs = 60_000
/** Between two steps of retention, so that they take a small part of the time only. */
const pruneEveryMs = 30

/** Looks after retention from time to time, between two stretches. */
export class Housekeeper {
  readonly #options: HousekeeperOptions
  #dueAt = performance.now()
  #timer: NodeJS.Timeout | undefined
  #prunedTo: number | undefined
  /** Of the store, once measured. */
  storeBytes: number | null = null

  constructor (options: HousekeeperOptions) {
    this.#options = options
  }

  /** Before the first record of the process is stored, so that whoever finds one finds this, too. */
  async introduce (store: Store): Promise<void> {
    const { proxy, now } = this.#options
    if (proxy !== undefined) await noteProxy(store.db, proxy, now())
  }

  /** One small step, if one is due. */
  async keep (store: Store, journalId: string): Promise<void> {
    if (performance.now() < this.#dueAt) return
    const { retention, now, housekeepingMs = usualHousekeepingMs } = this.#options
    if (this.#prunedTo === undefined) await this.#begin(store, journalId)
    this.storeBytes = await store.measure()
    this.#prunedTo = await prune(store.db, retention, now(), this.storeBytes, this.#prunedTo ?? 0)
    await store.shrink()
    this.#schedule(this.#prunedTo === undefined ? housekeepingMs : pruneEveryMs)
  }

  async #begin (store: Store, journalId: string): Promise<void> {
    const { retention, now } = this.#options
    await noteLife(store.db, journalId, now())
    await this.introduce(store)
    await forgetProxies(store.db, now() - retention.maxAgeMs)
    this.#prunedTo = 0
  }

  #schedule (delayMs: number): void {
    this.#dueAt = performance.now() + delayMs
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#options.wake, delayMs + 1)
  }

  stop (): void { clearTimeout(this.#timer) }
}
