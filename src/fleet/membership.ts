import type { Redis } from 'ioredis'
import { nameFailure } from './failure.ts'

export interface MembershipOptions {
  redis: Redis
  /** Key of the sorted set of instances, by the time of their last sign of life. */
  key: string
  instance: string
  /** Called at each heartbeat that was answered. */
  beat: () => void
}

/** Between two signs of life, and how long without one until the others take an instance for gone. */
const intervalMs = 1_000
const goneMs = 5_000

/** By Redis's clock alone: those of the instances need not agree. */
const script = `
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZADD', KEYS[1], ms, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
return redis.call('ZCARD', KEYS[1])`

/** Whether Redis answers, and how many instances there are. */
export class Membership {
  readonly #options: MembershipOptions
  readonly #listeners = new Set<(up: boolean) => void>()
  #timer: NodeJS.Timeout | undefined
  #beating = false
  #stopped = false
  up = false
  size = 1
  /** Milliseconds since the epoch, of the last change of `up`. */
  since = Date.now()
  /** Why it is not up, in a word. */
  failure: string | null = null

  constructor (options: MembershipOptions) {
    this.#options = options
    const { redis } = options
    redis.on('ready', () => { void this.#beat() })
    redis.on('error', error => { this.failure = nameFailure(error) })
    redis.on('close', () => this.#set(false))
    this.#timer = setInterval(() => { void this.#beat() }, intervalMs)
  }

  onChange (listener: (up: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** Resolves once Redis has answered, or after the time. */
  async settled (timeoutMs: number): Promise<void> {
    if (this.up) return
    await new Promise<void>(resolve => {
      const done = () => {
        clearTimeout(timer)
        forget()
        resolve()
      }
      const timer = setTimeout(done, timeoutMs)
      const forget = this.onChange(done)
    })
  }

  /** The others needn't wait to find out. */
  async leave (): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    const { redis, key, instance } = this.#options
    await redis.zrem(key, instance).catch(() => {})
  }

  async #beat (): Promise<void> {
    const { redis, key, instance, beat } = this.#options
    if (this.#beating || this.#stopped || redis.status !== 'ready') return
    this.#beating = true
    try {
      this.size = Number(await redis.eval(script, 1, key, instance, goneMs))
      this.failure = null
      this.#set(true)
      beat()
    } catch (error) {
      this.failure = nameFailure(error)
      this.#set(false)
    } finally {
      this.#beating = false
    }
  }

  #set (up: boolean): void {
    if (up === this.up || this.#stopped) return
    this.up = up
    this.since = Date.now()
    for (const listener of this.#listeners) listener(up)
  }
}
