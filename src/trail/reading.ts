import { Worker } from 'node:worker_threads'
import { proxyError } from '../errors.ts'
import type { TailCursor } from './query/changes.ts'
import type { Changes, TrailItem, TrailList, TrailReader } from './query/reader.ts'
import type { Conditions, ListQuery } from './query/parse.ts'
import type { Series, SeriesQuery } from './query/series.ts'
import type { Question, ReaderMethod, Reply } from './reader-worker.ts'
import type { StoreSettings } from './store/connect.ts'

const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './reader-worker.ts' : './reader-worker.js', import.meta.url)

/** The thread is started by the first question and ends after this time without one: who doesn't ask doesn't pay. */
const idleMs = 60_000
const timeoutMs = 15_000
const mostWaiting = 100

interface Waiting { resolve: (value: unknown) => void, reject: (error: Error) => void, timer: NodeJS.Timeout }

/** The main thread's end of the reading thread. Rejects with `validation_error`, or `trail_unavailable` when the store can't be read. */
export class Reading {
  readonly #store: StoreSettings
  readonly #log: (what: Record<string, unknown>, message: string) => void
  #worker: Worker | undefined
  #waiting = new Map<number, Waiting>()
  #nextId = 0
  #idleTimer: NodeJS.Timeout | undefined
  #stopped = false

  constructor (store: StoreSettings, log: (what: Record<string, unknown>, message: string) => void) {
    this.#store = store
    this.#log = log
  }

  list (query: ListQuery): Promise<TrailList> { return this.#ask('list', query) as Promise<TrailList> }

  find (id: string): Promise<TrailItem[]> { return this.#ask('find', id) as Promise<TrailItem[]> }

  findRelated (item: TrailItem) { return this.#ask('findRelated', item) as ReturnType<TrailReader['findRelated']> }

  findProxies (ids: string[]) { return this.#ask('findProxies', ids) as ReturnType<TrailReader['findProxies']> }

  series (query: SeriesQuery): Promise<Series> { return this.#ask('series', query) as Promise<Series> }

  beginTail (after: string | null): Promise<TailCursor> { return this.#ask('beginTail', after) as Promise<TailCursor> }

  readChanges (conditions: Conditions, cursor: TailCursor): Promise<Changes> { return this.#ask('readChanges', conditions, cursor) as Promise<Changes> }

  #ask (method: ReaderMethod, ...args: unknown[]): Promise<unknown> {
    if (this.#stopped || this.#waiting.size >= mostWaiting) return Promise.reject(unreadable('Too many questions are waiting.'))
    const id = ++this.#nextId
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#giveUp(), timeoutMs)
      this.#waiting.set(id, { resolve, reject, timer })
      this.#start().postMessage({ id, method, args } satisfies Question)
    })
  }

  #start (): Worker {
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => this.#end(), idleMs).unref()
    if (this.#worker !== undefined) return this.#worker
    const worker = new Worker(workerUrl, { workerData: this.#store, name: 'trail-reader', env: {}, execArgv: [] })
    worker.unref()
    worker.on('message', this.#onReply)
    worker.on('error', (error: unknown) => this.#log({ error: String(error) }, 'trail: the reading thread failed'))
    worker.on('exit', () => { if (this.#worker === worker) this.#forget(unreadable('The reading thread ended.')) })
    this.#worker = worker
    return worker
  }

  readonly #onReply = (reply: Reply): void => {
    const waiting = this.#waiting.get(reply.id)
    if (waiting === undefined) return
    this.#waiting.delete(reply.id)
    clearTimeout(waiting.timer)
    if ('value' in reply) return waiting.resolve(reply.value)
    if ('faults' in reply) return waiting.reject(proxyError('validation_error', { fields: reply.faults }))
    this.#log({ error: reply.error }, 'trail: the store cannot be read')
    waiting.reject(unreadable(reply.error))
  }

  /** A question that takes that long holds up all others: the thread is given up, and the next question starts a new one. */
  #giveUp (): void {
    this.#log({ seconds: timeoutMs / 1000 }, 'trail: a search took too long')
    this.#end()
  }

  #end (): void {
    const worker = this.#worker
    this.#forget(unreadable('The search took too long: narrow the time range.'))
    worker?.terminate().catch(() => {})
  }

  #forget (error: Error): void {
    this.#worker = undefined
    clearTimeout(this.#idleTimer)
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      reject(error)
    }
    this.#waiting.clear()
  }

  async stop (): Promise<void> {
    this.#stopped = true
    const worker = this.#worker
    this.#forget(unreadable('The proxy is ending.'))
    await worker?.terminate()
  }
}

/** The database's own words are for the log. */
function unreadable (cause: string): Error {
  return proxyError('trail_unavailable', { message: 'The trail cannot be read at the moment. Requests are recorded all the same.', cause })
}
