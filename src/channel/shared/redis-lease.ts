import type { FleetService } from '../../decorations.ts'
import type { Lease, LeaseCallbacks } from '../lease.ts'

/**
 * The lease in Redis: `<instance> <fencing token>`, gone when it isn't renewed, or `released`. A token is higher than all
 * before it, also when Redis has lost the last one: it is at least the time. ARGV: instance, milliseconds, 0 = only if it
 * was released: a lease that is merely not there may have been lost, and its holder on the way back.
 */
const script = `
local held = redis.call('GET', KEYS[1])
local owner, token
if held then owner, token = string.match(held, '^(%S+) (%d+)$') end
if owner == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {1, token}
end
if owner or (ARGV[3] == '0' and held ~= 'released') then return {0, token or '0'} end
local now = redis.call('TIME')
local fresh = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, now[1] * 1000 + math.floor(now[2] / 1000))
token = string.format('%.0f', fresh)
redis.call('SET', KEYS[2], token)
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. token, 'PX', ARGV[2])
return {1, token}`

const releaseScript = `
local held = redis.call('GET', KEYS[1])
if held and string.match(held, '^(%S+) ') == ARGV[1] then redis.call('SET', KEYS[1], 'released', 'EX', 3600) end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 20000, '*', 'released', ARGV[1])
return 1`

/** A killed holder is missed after at most this long; renewed five times meanwhile. */
const ttlMs = 6_000
const intervalMs = 1_000
/** The holder stops trusting its lease this much before Redis does. */
const marginMs = 500
/** When Redis is back or new, the holder of before may come first: it has what Redis has lost. */
const graceMs = 3_000

export class RedisLease implements Lease {
  readonly #fleet: FleetService
  #callbacks: LeaseCallbacks | undefined
  #held = false
  #validUntil = 0
  /** Until it is known how old this Redis is. */
  #claimAfter = Infinity
  #asking = false
  /** Asked for while an answer was under way, which may be older than the reason to ask. */
  #askAgain = false
  #timer: NodeJS.Timeout | undefined
  #forget: () => void = () => {}

  constructor (fleet: FleetService) { this.#fleet = fleet }

  /** By the monotonic clock, which goes on while the process is held still. */
  get confirmed (): boolean { return this.#held && performance.now() < this.#validUntil }

  hold (callbacks: LeaseCallbacks): void {
    this.#callbacks = callbacks
    this.#forget = this.#fleet.onChange(up => { if (up) this.#comeBack() })
    this.#timer = setInterval(() => { void this.renew() }, intervalMs)
    void this.#begin()
  }

  /** The holder has let go: nobody who comes back has to be waited for. */
  async takeOver (): Promise<void> {
    this.#claimAfter = 0
    this.#askAgain = this.#asking
    await this.renew()
  }

  async renew (): Promise<void> {
    if (this.#asking || this.#callbacks === undefined || !this.#fleet.up) return
    this.#asking = true
    const asked = performance.now()
    try {
      const { redis, key, instance } = this.#fleet
      const mayClaim = this.#held || asked >= this.#claimAfter
      const [mine, token] = await redis.eval(script, 2, key('channel:lease'), key('channel:fence'), instance, ttlMs, mayClaim ? 1 : 0) as [number, string]
      this.#learn(mine === 1, asked, Number(token))
    } catch {
      // It runs out by itself if this goes on.
    } finally {
      this.#asking = false
    }
    if (!this.#askAgain) return
    this.#askAgain = false
    await this.renew()
  }

  async release (): Promise<void> {
    clearInterval(this.#timer)
    this.#forget()
    this.#callbacks = undefined
    this.#held = false
    const { redis, key, instance } = this.#fleet
    // It fails at once if Redis is away, and may succeed where the last heartbeat was late.
    await redis.eval(releaseScript, 2, key('channel:lease'), key('channel:changes'), instance).catch(() => {})
  }

  #learn (mine: boolean, asked: number, token: number): void {
    if (this.#callbacks === undefined) return
    if (mine) this.#validUntil = asked + ttlMs - marginMs
    if (mine === this.#held) return
    this.#held = mine
    if (mine) this.#callbacks.gained(token)
    else this.#callbacks.lost()
  }

  /** A Redis that began a moment ago may have held the lease of somebody who is about to come back to it. */
  async #begin (): Promise<void> {
    const info = await this.#fleet.redis.info('server').catch(() => '')
    const uptimeMs = Number(/^uptime_in_seconds:([0-9]+)/m.exec(info)?.[1] ?? 0) * 1000
    if (this.#claimAfter === Infinity) this.#claimAfter = performance.now() + Math.max(0, graceMs - uptimeMs)
    await this.renew()
  }

  #comeBack (): void {
    if (!this.#held) this.#claimAfter = performance.now() + graceMs
    void this.renew()
  }
}
