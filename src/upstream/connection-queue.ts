import type { Dispatcher } from 'undici'
import { proxyError, type ErrorType, type ProxyError } from '../errors.ts'
import { LinkedQueue, type Linked } from './linked-queue.ts'

/** Hands a request to a connection. `false`: there is no room for another one, as undici's dispatchers say it. */
export type Dispatch = (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) => boolean

/** Whoever sends a request; told of its way as undici tells it, or that there is none. */
export interface Sender extends Dispatcher.DispatchHandler {
  /** It waited in vain or was one too many: nothing of it was sent. Nothing else is called then. */
  onRefused (error: ProxyError): void
}

export interface QueueLimits {
  /** Most that wait at the same time. */
  maxWaiting: number
  /** Milliseconds. */
  maxWaitMs: number
}

/** Refused requests may come again after so many seconds; they will wait anew. */
const retryAfter = 1

/** setTimeout takes longer delays for none at all. */
const maxTimerMs = 2 ** 31 - 1

/** A request that waits for a connection. */
export class QueuedRequest implements Linked<QueuedRequest> {
  previous: QueuedRequest | undefined
  next: QueuedRequest | undefined
  /** `undefined` once it waits no more. */
  line: LinkedQueue<QueuedRequest> | undefined
  readonly options: Dispatcher.DispatchOptions
  readonly sender: Sender
  /** Monotonic milliseconds. */
  readonly deadlineMs: number

  constructor (line: LinkedQueue<QueuedRequest>, options: Dispatcher.DispatchOptions, sender: Sender, deadlineMs: number) {
    this.line = line
    this.options = options
    this.sender = sender
    this.deadlineMs = deadlineMs
    line.push(this)
  }

  /** Nobody wants it any more: it is never sent, and its sender hears nothing. `false` if it was not waiting. */
  leave (): boolean {
    if (this.line === undefined) return false
    this.line.remove(this)
    this.line = undefined
    return true
  }

  /** The proxy gives it up: nothing of it was sent. */
  refuse (type: ErrorType): void {
    if (this.leave()) refuse(this.sender, type)
  }
}

/**
 * Stands before undici's pool, whose own queue has no end, no time limit and no way out. Only what finds no connection free and
 * may not open one waits here, in order of arrival; everything else passes with one comparison, and nothing made for it. Whoever has a
 * connection made has left the queue: connecting has a time limit of its own, longer or shorter than this one.
 *
 * Requests that the proxy makes for everybody (the registration of the channel) go before the members', and are few: the limit
 * on how many may wait doesn't count them, or members could keep the channel shut.
 */
export class ConnectionQueue {
  readonly #limits: QueueLimits
  readonly #dispatch: Dispatch
  readonly #housekeeping = new LinkedQueue<QueuedRequest>()
  readonly #members = new LinkedQueue<QueuedRequest>()
  #isFull = false
  #timer: NodeJS.Timeout | undefined

  constructor (limits: QueueLimits, dispatch: Dispatch) {
    this.#limits = limits
    this.#dispatch = dispatch
  }

  /** How many wait. */
  get size (): number { return this.#housekeeping.size + this.#members.size }

  /**
   * Sends at once if it can. Otherwise the request waits, and is what this returns, or is refused as one too many.
   * @param isHousekeeping nobody's but the proxy's own, for everybody
   */
  dispatch (options: Dispatcher.DispatchOptions, sender: Sender, isHousekeeping = false): QueuedRequest | undefined {
    if (this.#isFull || this.size > 0) return this.#enqueue(options, sender, isHousekeeping)
    this.#isFull = !this.#dispatch(options, sender)
    return undefined
  }

  /** A connection is free, or may be opened. */
  readonly serve = (): void => {
    this.#isFull = false
    while (!this.#isFull) {
      const next = this.#housekeeping.first ?? this.#members.first
      if (next === undefined) return
      next.leave()
      this.#isFull = !this.#dispatch(next.options, next.sender)
    }
  }

  /** Refuses whoever still waits. */
  close (): void {
    clearTimeout(this.#timer)
    for (const line of [this.#housekeeping, this.#members]) {
      while (line.first !== undefined) line.first.refuse('draining')
    }
    // From now on the pool itself says that it is closed.
    this.#isFull = false
  }

  #enqueue (options: Dispatcher.DispatchOptions, sender: Sender, isHousekeeping: boolean): QueuedRequest | undefined {
    if (!isHousekeeping && this.#members.size >= this.#limits.maxWaiting) return void refuse(sender, 'upstream_busy')
    const queued = new QueuedRequest(isHousekeeping ? this.#housekeeping : this.#members, options, sender, performance.now() + this.#limits.maxWaitMs)
    this.#timer ??= this.#startTimer(this.#limits.maxWaitMs)
    return queued
  }

  #startTimer (delayMs: number): NodeJS.Timeout {
    return setTimeout(this.#refuseLate, Math.min(Math.ceil(delayMs), maxTimerMs)).unref()
  }

  /** One timer for all: each line is in the order of its deadlines, since all of them wait equally long. */
  readonly #refuseLate = (): void => {
    this.#timer = undefined
    const nowMs = performance.now()
    let nextMs = Infinity
    for (const line of [this.#housekeeping, this.#members]) {
      while (line.first !== undefined && line.first.deadlineMs <= nowMs) line.first.refuse('upstream_busy')
      nextMs = Math.min(nextMs, line.first?.deadlineMs ?? Infinity)
    }
    if (nextMs !== Infinity) this.#timer ??= this.#startTimer(nextMs - nowMs)
  }
}

function refuse (sender: Sender, type: ErrorType): void {
  sender.onRefused(proxyError(type, { retryAfter }))
}
