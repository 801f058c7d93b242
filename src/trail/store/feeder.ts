import type { Position } from '../segment-writer.ts'
import { holdMs } from './held-intents.ts'
import { Housekeeper, type HousekeeperOptions } from './housekeeper.ts'
import type { Store, StoredPosition, StoreFault } from './store.ts'
import { Transfer, type TransferOptions } from './transfer.ts'

export interface FeederOptions extends Omit<TransferOptions, 'onStored'>, Omit<HousekeeperOptions, 'wake'> {
  /** A new connection; called again after each failure. */
  createStore: () => Store
  classifyError: (error: unknown) => StoreFault
  /** Makes room for a new store where this one is beyond repair. Gives what to tell the operator. */
  replaceStore: (nowMs: number) => string
  report: (report: FeederReport) => void
}

/** What the main thread gets to know. */
export interface FeederReport {
  stored: StoredPosition | undefined
  /** Nothing was left to store. */
  caughtUp: boolean
  fault: StoreFault | null
  /** The database's own words, for the log and `status`. */
  message: string | null
  /** Bytes of the store, once measured. */
  storeBytes: number | null
}

const firstRetryMs = 200
/** Recovery within 5 s is promised. */
const longestRetryMs = 2000

/** Carries the journal into the store, and goes on where it stopped, whatever happened. */
export class Feeder {
  readonly #options: FeederOptions
  readonly #transfer: Transfer
  readonly #housekeeper: Housekeeper
  #store: Store | undefined
  #target: Position | undefined
  /** The journal has got further since storing began: it came while a database was waited for. */
  #advanced = false
  #running = false
  #stopped = false
  #retryMs = firstRetryMs
  #retryTimer: NodeJS.Timeout | undefined
  #heldTimer: NodeJS.Timeout | undefined
  #failing = false
  #idle: Array<() => void> = []
  #draining = false

  constructor (options: FeederOptions) {
    this.#options = options
    this.#transfer = new Transfer({ ...options, onStored: () => this.#noteSuccess(false) })
    this.#housekeeper = new Housekeeper({ ...options, wake: this.#wake })
  }

  /** The journal is written up to there. */
  advance (target: Position): void {
    this.#target = target
    this.#advanced = true
    if (this.#retryTimer === undefined) this.#wake()
  }

  /** Resolves when everything up to the latest target is stored, or when that fails. */
  drain (): Promise<void> {
    return new Promise(resolve => {
      this.#idle.push(resolve)
      this.#draining = true
      clearTimeout(this.#retryTimer)
      this.#retryTimer = undefined
      this.#wake()
    })
  }

  readonly #wake = (): void => {
    this.#run().catch((error: unknown) => this.#options.log('error', { error: String(error) }, 'trail: storing stopped, which is a defect'))
  }

  async #run (): Promise<void> {
    if (this.#running) return
    if (this.#stopped || this.#target === undefined) return this.#endDrain()
    this.#running = true
    const draining = this.#draining
    try {
      do await this.#storeAll(this.#target)
      while (this.#advanced && !this.#stopped)
      await this.#flushHeld(this.#target, draining ? 0 : holdMs)
      this.#noteSuccess(!this.#advanced)
      await this.#keepHouse(this.#target)
    } catch (error) {
      await this.#recover(error)
    } finally {
      this.#running = false
      if (draining || this.#stopped) this.#endDrain()
      else if (this.#draining || (this.#advanced && this.#retryTimer === undefined)) this.#wake()
    }
  }

  async #storeAll (target: Position): Promise<void> {
    this.#advanced = false
    while (!this.#stopped && await this.#transfer.step(await this.#openStore(), target)) {
      await this.#keepHouse(target)
      await breathe()
    }
  }

  #endDrain (): void {
    this.#draining = false
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  async #openStore (): Promise<Store> {
    if (this.#store !== undefined) return this.#store
    const store = this.#options.createStore()
    try {
      await store.open()
      await this.#housekeeper.introduce(store)
    } catch (error) {
      await store.close().catch(() => {})
      throw error
    }
    this.#store = store
    return store
  }

  async #flushHeld (target: Position, waitedMs: number): Promise<void> {
    clearTimeout(this.#heldTimer)
    if (this.#store !== undefined) await this.#transfer.flush(this.#store, target, waitedMs)
    if (this.#transfer.heldCount > 0) this.#heldTimer = setTimeout(this.#wake, holdMs)
  }

  async #keepHouse ({ journalId }: Position): Promise<void> {
    if (this.#store !== undefined && !this.#stopped) await this.#housekeeper.keep(this.#store, journalId)
  }

  #noteSuccess (caughtUp: boolean): void {
    this.#retryMs = firstRetryMs
    if (this.#failing) this.#options.log('info', {}, 'trail: the store works again')
    this.#failing = false
    this.#report({ caughtUp, fault: null, message: null })
  }

  #report (news: Pick<FeederReport, 'caughtUp' | 'fault' | 'message'>): void {
    this.#options.report({ stored: this.#transfer.cursor, ...news, storeBytes: this.#housekeeper.storeBytes })
  }

  async #recover (error: unknown): Promise<void> {
    const { classifyError, log } = this.#options
    const fault = classifyError(error)
    const message = error instanceof Error ? error.message : String(error)
    await this.#closeStore()
    if (fault === 'corrupt') this.#replace()
    if (!this.#failing) log('error', { fault, error: message }, 'trail: the store cannot be written; the journal keeps everything until it can')
    this.#failing = true
    this.#report({ caughtUp: false, fault, message })
    this.#transfer.reset()
    if (!this.#stopped) this.#retryLater()
  }

  #retryLater (): void {
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined
      this.#wake()
    }, this.#retryMs)
    this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs)
  }

  #replace (): void {
    try {
      const told = this.#options.replaceStore(this.#options.now())
      this.#options.log('error', { action: told }, 'trail: the store is damaged; a new one is begun')
    } catch (error) {
      this.#options.log('error', { error: String(error) }, 'trail: the store is damaged and cannot be moved aside')
    }
  }

  async #closeStore (): Promise<void> {
    const store = this.#store
    this.#store = undefined
    await store?.close().catch(() => {})
  }

  async stop (): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#retryTimer)
    clearTimeout(this.#heldTimer)
    this.#housekeeper.stop()
    if (this.#running) await new Promise<void>(resolve => { this.#idle.push(resolve) })
    this.#options.reader.close()
    await this.#closeStore()
  }
}

/** Lets messages in between two stretches. */
function breathe (): Promise<void> {
  return new Promise(resolve => { setImmediate(resolve) })
}
