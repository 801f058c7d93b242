import type { Redis } from 'ioredis'
import { nameFailure } from './failure.ts'
import type { KeyUsers } from './key-agreement.ts'

export interface MembershipOptions {
  redis: Redis
  /** Key of the sorted set of instances, by the time of their last sign of life. `<key>:keys` is a hash of the access keys' fingerprints. */
  key: string
  instance: string
  /** Fingerprint of the access key used here; `undefined` = none. */
  keyFingerprint: () => string | undefined
  /** Called at each heartbeat that was answered, with the access keys that the instances use. */
  beat: (keyUsers: KeyUsers) => void
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
if ARGV[3] == '' then redis.call('HDEL', KEYS[2], ARGV[1]) else redis.call('HSET', KEYS[2], ARGV[1], ARGV[3]) end
for _, name in ipairs(KEYS) do redis.call('PEXPIRE', name, ARGV[2] * 2) end
local answer = { tostring(redis.call('ZCARD', KEYS[1])) }
local used = redis.call('HGETALL', KEYS[2])
for i = 1, #used, 2 do
  if redis.call('ZSCORE', KEYS[1], used[i]) then answer[#answer + 1] = used[i + 1] else redis.call('HDEL', KEYS[2], used[i]) end
end
return answer`

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
    const { redis, key, instance, keyFingerprint, beat } = this.#options
    if (this.#beating || this.#stopped || redis.status !== 'ready') return
    this.#beating = true
    try {
      const [size, ...fingerprints] = await redis.eval(script, 2, key, `${key}:keys`, instance, goneMs, keyFingerprint() ?? '') as string[]
      this.size = Number(size)
      this.failure = null
      this.#set(true)
      beat(count(fingerprints))
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

function count (names: string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}
