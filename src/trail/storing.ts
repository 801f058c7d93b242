import { Worker } from 'node:worker_threads'
import { Lag } from './lag.ts'
import type { Position } from './segment-writer.ts'
import { measureSegments } from './segments.ts'
import type { FromStoreWorker, StoreWorkerData, ToStoreWorker } from './store-worker.ts'
import type { FeederReport } from './store/feeder.ts'

/** Beside this file as source (types stripped by Node), or compiled. */
const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './store-worker.ts' : './store-worker.js', import.meta.url)

/** Rows are findable within 300 ms: some of it is spent on collecting, as large batches cost less. */
const collectMs = 75
const restartMs = 1000
/** From when everything else is ready. */
const beginDelayMs = 100

export interface StoringOptions extends StoreWorkerData {
  log: (level: 'info' | 'warn' | 'error', what: Record<string, unknown>, message: string) => void
}

export interface StoringStatus {
  kind: StoreWorkerData['store']['kind']
  /** Why the store can't be written, if so; the journal keeps everything until it can. */
  fault: FeederReport['fault']
  /** `null` until measured. */
  storeBytes: number | null
  /** Times the storing thread had to be begun anew. */
  restarts: number
  /** What is on the journal and not in the store; `null` if the journal can't be read. */
  behindBytes: number | null
  behindMs: number
}

/** The main thread's end of the storing thread: tells it how far the journal is, and restarts it if it dies. */
export class Storing {
  readonly #options: StoringOptions
  #worker: Worker | undefined
  #position: Position | undefined
  #timer: NodeJS.Timeout | undefined
  #report: FeederReport | undefined
  readonly #lag = new Lag()
  #restarts = 0
  #beginTimer: NodeJS.Timeout | undefined
  #stopping = false
  #drained: () => void = () => {}

  constructor (options: StoringOptions) {
    this.#options = options
  }

  /** Begins the thread, in a moment: the first requests need the processor more. */
  begin (): void {
    this.#beginTimer = setTimeout(this.#start, beginDelayMs).unref()
  }

  readonly #start = (): void => {
    this.#beginTimer = undefined
    const { folder, store, retention, proxy } = this.#options
    const data: StoreWorkerData = { folder, store, retention, proxy }
    // The name is what `top -H` shows. No environment: the thread needs none of it.
    const worker = new Worker(workerUrl, { workerData: data, name: 'trail-store', env: {}, execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: 12 } })
    worker.unref()
    worker.on('message', this.#onMessage)
    worker.on('error', (error: unknown) => this.#options.log('error', { error: String(error) }, 'trail: the storing thread failed'))
    worker.on('exit', this.#onExit)
    this.#worker = worker
    if (this.#position !== undefined) this.#send({ type: 'advance', position: this.#position })
  }

  readonly #onMessage = (message: FromStoreWorker): void => {
    if (message.type === 'log') this.#options.log(message.level, message.what, message.message)
    else if (message.type === 'drained') this.#drained()
    else this.#noteReport(message.report)
  }

  #noteReport (report: FeederReport): void {
    this.#report = report
    if (report.caughtUp) this.#lag.noteAllStored()
    else if (report.stored !== undefined && report.fault === null) this.#lag.noteStored(report.stored, performance.now())
  }

  readonly #onExit = (): void => {
    this.#worker = undefined
    this.#drained()
    if (this.#stopping) return
    this.#restarts++
    setTimeout(() => { if (!this.#stopping) this.#start() }, restartMs).unref()
  }

  #send (message: ToStoreWorker): void {
    this.#worker?.postMessage(message)
  }

  /** The journal is written up to there. Cheap: the thread hears of it a few times a second. */
  advance (position: Position): void {
    this.#position = position
    this.#timer ??= setTimeout(this.#tell, collectMs).unref()
  }

  readonly #tell = (): void => {
    this.#timer = undefined
    const position = this.#position as Position
    this.#lag.noteWritten(position, performance.now())
    this.#send({ type: 'advance', position })
  }

  /** For `status`, which members see: the database's own words are in the log alone. */
  status (): StoringStatus {
    const { fault = null, stored, storeBytes = null } = this.#report ?? {}
    return {
      kind: this.#options.store.kind,
      fault,
      storeBytes,
      restarts: this.#restarts,
      behindBytes: this.#measureBehind(stored),
      behindMs: this.#lag.ms(performance.now())
    }
  }

  #measureBehind (stored: FeederReport['stored']): number | null {
    try {
      return measureSegments(this.#options.folder, stored)
    } catch {
      return null
    }
  }

  /** Stores what is left, for at most `timeoutMs`, and ends the thread. What isn't stored by then is by the next run. */
  async stop (position: Position | undefined, timeoutMs: number): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#timer)
    clearTimeout(this.#beginTimer)
    // A proxy that never got ready leaves what an earlier run left to the next one.
    if (this.#beginTimer !== undefined) this.#start()
    const worker = this.#worker
    if (worker === undefined) return
    await new Promise<void>(resolve => {
      const limit = setTimeout(resolve, timeoutMs)
      this.#drained = () => {
        clearTimeout(limit)
        resolve()
      }
      this.#send({ type: 'drain', position })
    })
    await worker.terminate()
  }
}
