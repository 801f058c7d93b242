import type { List, TrailRecord } from './answers.ts'
import { ask, AnswerError, describeFailure, isAborted, isWrongQuery, reportLostSession } from './api.ts'
import { addNewer, addOlder, noRows, type RowList } from './row-list.ts'

const pageSize = 200
/** A burst is drawn once. */
const drawEveryMs = 150
const lookAtOpenEveryMs = 3_000
const mostOpen = 100
const retryMs = 2_000

export type Connection = 'off' | 'connecting' | 'live'

export interface RowsState {
  list: RowList
  /** Older ones can be loaded. */
  hasMore: boolean
  loading: boolean
  failure: string | undefined
  /** The query itself is wrong: asking again is of no use. */
  refused: boolean
  connection: Connection
  /** Of this change: how many rows were put on top, for whoever keeps the reader's place. */
  added: number
  /** How many passed too quickly for the tail. */
  skipped: number
}

export const firstState: RowsState = { list: noRows, hasMore: false, loading: true, failure: undefined, refused: false, connection: 'off', added: 0, skipped: 0 }

/** The rows of one query: the newest page, older ones on demand, and what happens from then on. */
export class LiveRows {
  readonly #query: string
  readonly #draw: (state: RowsState) => void
  readonly #stop = new AbortController()
  #state = firstState
  #live = false
  #started = false
  #tail: EventSource | undefined
  #arrived: TrailRecord[] = []
  #timer = 0
  #openTimer = 0

  constructor (query: URLSearchParams, draw: (state: RowsState) => void) {
    this.#query = query.toString()
    this.#draw = draw
  }

  async start (live: boolean): Promise<void> {
    this.#live = live
    await this.#load(null)
    this.#started = true
    if (this.#live) this.#open()
  }

  end (): void {
    this.#stop.abort()
    this.pause()
  }

  resume (): void {
    this.#live = true
    if (this.#started) this.#open()
  }

  pause (): void {
    this.#live = false
    this.#close()
  }

  #open (): void {
    if (this.#stop.signal.aborted || this.#tail !== undefined || this.#state.refused) return
    const newest = this.#state.list.rows[0]?.id
    // From the newest one on that we have, so that nothing is lost between list and tail.
    const tail = new EventSource(`/_proxy/trail/tail?${this.#query}${newest === undefined ? '' : `&after=${newest}`}`)
    this.#tail = tail
    this.#set({ connection: 'connecting' })
    let begins = newest === undefined
    tail.onopen = () => {
      this.#set({ connection: 'live' })
      // With nothing to begin after, the tail began when it was opened: what happened since the list was asked for is in neither.
      if (begins) this.#load(null).catch(() => {})
      begins = false
    }
    tail.onerror = () => this.#judgeBreak(tail)
    tail.addEventListener('record', ({ data }) => this.#receive(JSON.parse(data as string) as TrailRecord))
    tail.addEventListener('skipped', ({ data }) => this.#set({ skipped: this.#state.skipped + (JSON.parse(data as string) as { count: number }).count }))
    this.#openTimer = setInterval(this.#lookAtOpen, lookAtOpenEveryMs)
  }

  #close (): void {
    this.#tail?.close()
    this.#tail = undefined
    clearInterval(this.#openTimer)
    clearTimeout(this.#timer)
    this.#timer = 0
    this.#flush()
    this.#set({ connection: 'off' })
  }

  async loadOlder (): Promise<void> {
    const last = this.#state.list.rows.at(-1)
    if (this.#state.loading || !this.#state.hasMore || last === undefined) return
    await this.#load(last.id)
  }

  async #load (after: string | null): Promise<void> {
    this.#set({ loading: true })
    try {
      const path = `/_proxy/trail?${this.#query}&order=DESC&limit=${pageSize}${after === null ? '' : `&after=${after}`}`
      const { data, has_more: hasMore = false } = await ask<List<TrailRecord>>(path, { signal: this.#stop.signal })
      this.#set({ list: addOlder(this.#state.list, data), hasMore, loading: false, failure: undefined })
    } catch (error) {
      if (!isAborted(error)) this.#set({ loading: false, failure: describeFailure(error), refused: isWrongQuery(error) })
    }
  }

  #receive (record: TrailRecord): void {
    this.#arrived.push(record)
    if (this.#timer === 0) this.#timer = setTimeout(this.#flush, drawEveryMs)
  }

  readonly #flush = (): void => {
    this.#timer = 0
    if (this.#arrived.length === 0) return
    const { list, added, dropped } = addNewer(this.#state.list, this.#arrived)
    this.#arrived = []
    this.#set({ list, added, hasMore: this.#state.hasMore || dropped > 0 })
  }

  /** The browser connects again by itself, but for an answer that is no event stream: then it gives up, and so that is asked about. */
  #judgeBreak (tail: EventSource): void {
    this.#set({ connection: 'connecting' })
    if (tail.readyState !== EventSource.CLOSED || tail !== this.#tail) return
    this.#close()
    this.#set({ connection: 'connecting' })
    ask('/_proxy/session', { signal: this.#stop.signal }).catch((error: unknown) => {
      if (error instanceof AnswerError && error.status === 401) reportLostSession()
    }).finally(() => setTimeout(() => { if (this.#live) this.#open() }, retryMs))
  }

  /** The tail tells the end of what it has told the beginning of. Of the rows that came with the list, we ask. */
  readonly #lookAtOpen = (): void => {
    const ids = this.#state.list.rows.slice(0, 1000).filter(row => row.outcome === 'open').slice(0, mostOpen).map(row => row.id)
    if (ids.length === 0 || document.hidden) return
    ask<List<TrailRecord>>(`/_proxy/trail?id__in=${ids.join(',')}&limit=${mostOpen}`, { signal: this.#stop.signal })
      .then(({ data }) => { for (const record of data) if (record.outcome !== 'open') this.#receive(record) }, () => {})
  }

  #set (change: Partial<RowsState>): void {
    this.#state = { ...this.#state, added: 0, ...change }
    if (!this.#stop.signal.aborted) this.#draw(this.#state)
  }
}
