import { randomBytes } from 'node:crypto'
import type { FleetService } from '../../decorations.ts'
import type { EventLog } from '../event-log.ts'
import type { Place, Places } from '../places.ts'
import { expiryMs, keyOf, type VirtualChannel, type VirtualChannels } from '../virtual-channels.ts'

/**
 * A hash for each virtual channel: a field for each connection, `<position> <time> <instance>`, the instance empty once it
 * has ended. A new connection takes the place of the one that ended last, or of one at another instance, which may have
 * died; those that ended together (a network gone) go on from the slowest.
 */
const takeScript = `
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local again = redis.call('HGET', KEYS[1], ARGV[2])
if again then return {1, string.match(again, '^(%d+)')} end
local flat = redis.call('HGETALL', KEYS[1])
local others, newest = {}, nil
for i = 1, #flat, 2 do
  local position, at, owner = string.match(flat[i + 1], '^(%d+) (%d+) (%S*)$')
  local place = {field = flat[i], position = tonumber(position), at = tonumber(at), owner = owner}
  local open = owner ~= '' and now - place.at < tonumber(ARGV[6])
  if open and ARGV[5] == '1' then return {0, '0'} end
  if owner ~= ARGV[1] or ARGV[5] == '1' then
    others[#others + 1] = place
    if not newest or place.at > newest.at then newest = place end
  end
end
local position = tonumber(ARGV[3])
if newest then
  position = newest.position
  local together = {}
  for _, place in ipairs(others) do
    if newest.at - place.at <= tonumber(ARGV[4]) then
      together[#together + 1] = place
      position = math.min(position, place.position)
    end
  end
  for _, place in ipairs(together) do
    redis.call('HSET', KEYS[1], place.field, string.format('%.0f %.0f %s', position, place.at, place.owner))
  end
  redis.call('HDEL', KEYS[1], newest.field)
end
redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f %.0f %s', position, now, ARGV[1]))
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {1, string.format('%.0f', position)}`

const writeScript = `
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
for i = 1, #KEYS do
  local at = (i - 1) * 4
  redis.call('HSET', KEYS[i], ARGV[at + 1], string.format('%s %.0f %s', ARGV[at + 2], now, ARGV[at + 3]))
  redis.call('PEXPIRE', KEYS[i], ARGV[at + 4])
end
return 1`

const togetherMs = 2_000
/** An open connection is written anew this often while its position moves; its instance's death costs that much of repetition. */
const writeMs = 1_000
/** A long poll that hasn't been written for this long has died with its instance. */
const freshMs = 4_000
/** Places written in one go. Beyond that they take turns. */
const maxWrites = 500
const retryMs = 250

interface OpenPlace {
  key: string
  field: string
  position: number
  ttlMs: number
  only: boolean
  arrived: () => number
}

/** Where each virtual channel's next connection goes on, whichever instance it comes to. */
export class SharedPlaces implements Places {
  readonly #fleet: FleetService
  readonly #channels: VirtualChannels
  readonly #log: Pick<EventLog, 'head'>
  readonly #open = new Set<OpenPlace>()
  /** Ended, and not written yet. */
  readonly #left = new Set<OpenPlace>()
  #timer: NodeJS.Timeout | undefined

  constructor (fleet: FleetService, channels: VirtualChannels, log: Pick<EventLog, 'head'>) {
    this.#fleet = fleet
    this.#channels = channels
    this.#log = log
  }

  start (): void {
    this.#timer = setInterval(() => { void this.#writeMoved() }, writeMs)
  }

  async stop (): Promise<void> {
    clearInterval(this.#timer)
    await this.#writeLeft().catch(() => {})
  }

  begin (channel: VirtualChannel): void {
    const position = this.#log.head
    this.#left.add({ key: this.#keyOf(channel), field: makeField(), position, ttlMs: expiryMs[channel.kind], only: false, arrived: () => position })
    void this.#writeLeft().catch(() => {})
  }

  /** While Redis is away nobody knows where to go on, and nothing comes: the connection waits for it. */
  async take (channel: VirtualChannel, { only, gone }: { only: boolean, gone: AbortSignal }): Promise<Place | 'busy' | undefined> {
    if (only && channel.open > 0) return 'busy'
    const place = { key: this.#keyOf(channel), field: makeField(), ttlMs: expiryMs[channel.kind], only }
    for (let busySince = performance.now(); !gone.aborted;) {
      try {
        const position = await this.#ask(place)
        if (position !== undefined) return this.#enter(channel, { ...place, position, arrived: () => position })
        // A poll that was answered by another instance a moment ago is still being written off there.
        if (performance.now() - busySince > freshMs / 2) return 'busy'
      } catch {
        busySince = performance.now()
      }
      await new Promise(resolve => setTimeout(resolve, retryMs / 5))
    }
    return undefined
  }

  async look (channel: VirtualChannel): Promise<{ connected: boolean, queued: number }> {
    const places = await this.#fleet.redis.hvals(this.#keyOf(channel)).catch(() => [])
    const read = places.map(text => text.split(' ')).map(([position, at, owner]) => ({ position: Number(position), at: Number(at), open: owner !== '' }))
    const connected = channel.open > 0 || read.some(({ open }) => open)
    const last = read.sort((a, b) => b.at - a.at)[0]
    return { connected, queued: connected || last === undefined ? 0 : Math.max(0, this.#log.head - last.position) }
  }

  forget (channel: VirtualChannel): void {
    const key = this.#keyOf(channel)
    for (const place of this.#left) if (place.key === key) this.#left.delete(place)
    this.#fleet.redis.del(key).catch(() => {})
  }

  async #ask ({ key, field, only, ttlMs }: Pick<OpenPlace, 'key' | 'field' | 'only' | 'ttlMs'>): Promise<number | undefined> {
    const { redis, instance } = this.#fleet
    await this.#writeLeft()
    const [taken, position] = await redis.eval(takeScript, 1, key, instance, field, this.#log.head, togetherMs, only ? 1 : 0, freshMs, ttlMs) as [number, string]
    return taken === 1 ? Number(position) : undefined
  }

  #enter (channel: VirtualChannel, place: OpenPlace): Place {
    this.#channels.attach(channel, place.position, Date.now())
    this.#open.add(place)
    return {
      position: place.position,
      follow: arrived => { place.arrived = arrived },
      leave: position => {
        this.#channels.detach(channel, position, Date.now())
        this.#open.delete(place)
        place.position = position
        this.#left.add(place)
        void this.#writeLeft().catch(() => {})
      }
    }
  }

  async #writeLeft (): Promise<void> {
    while (this.#left.size > 0) {
      const batch = [...this.#left].slice(0, maxWrites)
      await this.#write(batch, '')
      for (const place of batch) this.#left.delete(place)
    }
  }

  async #writeMoved (): Promise<void> {
    const moved: OpenPlace[] = []
    for (const place of this.#open) {
      const position = place.arrived()
      if (position === place.position && !place.only) continue
      place.position = position
      moved.push(place)
      // Next time the others come first.
      this.#open.delete(place)
      this.#open.add(place)
      if (moved.length === maxWrites) break
    }
    try {
      await this.#write(moved, this.#fleet.instance)
      await this.#writeLeft()
    } catch {
      // With the next turn.
    }
  }

  async #write (places: OpenPlace[], owner: string): Promise<void> {
    if (places.length === 0) return
    const { redis } = this.#fleet
    await redis.eval(writeScript, places.length, ...places.map(({ key }) => key), ...places.flatMap(({ field, position, ttlMs }) => [field, position, owner, ttlMs]))
  }

  #keyOf (channel: VirtualChannel): string { return this.#fleet.key(`channel:places:${keyOf(channel)}`) }
}

function makeField (): string { return randomBytes(9).toString('base64url') }
