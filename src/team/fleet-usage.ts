import type { FleetService } from '../decorations.ts'
import type { LocalLimits } from './limits-local.ts'
import type { Usage } from './limits.ts'

const dayMs = 86_400_000

/** What an instance says it has open is believed for this long. */
const believedMs = 5000

/**
 * What one instance counted since the last time goes to Redis, what all counted comes back: of the members that changed. By Redis's
 * clock. A Redis that lost its memory has another epoch, and is told the totals that were last known.
 *
 * KEYS: day (hash), seen (hash), changed (sorted set by revision), opened (hash by instance).
 * ARGV: instance, revision known, epoch known or `whole` to tell totals, day, what is open here as JSON, believedMs, then of each member:
 * name, total known and how many more, refused known and how many more, ms since it was seen. In another epoch nothing is counted.
 */
const script = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local today = math.floor(now / ${dayMs})
local day, epoch = unpack(redis.call('HMGET', KEYS[1], 'day', 'epoch'))
if tonumber(day or -1) < today then
  redis.call('DEL', KEYS[1])
  day, epoch = string.format('%d', today), nil
end
if not epoch then
  epoch = ARGV[1] .. string.format('%d', now)
  redis.call('HSET', KEYS[1], 'day', day, 'epoch', epoch)
  redis.call('DEL', KEYS[3])
end
local whole = ARGV[3] == 'whole'
if not whole and ARGV[3] ~= epoch then return { epoch, '0', string.format('%d', now), {}, {} } end
local function add (field, known, more)
  local total = tonumber(redis.call('HGET', KEYS[1], field) or 0)
  if whole then total = math.max(total, known) end
  redis.call('HSET', KEYS[1], field, string.format('%d', math.max(0, total + more)))
end
for i = 7, #ARGV, 6 do
  local member = ARGV[i]
  if ARGV[4] == day then
    add('sent|' .. member, tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]))
    add('refused|' .. member, tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]))
  end
  local seen = now - tonumber(ARGV[i + 5])
  if tonumber(redis.call('HGET', KEYS[2], member) or 0) < seen then redis.call('HSET', KEYS[2], member, string.format('%d', seen)) end
  redis.call('ZADD', KEYS[3], redis.call('HINCRBY', KEYS[1], 'revision', 1), member)
end
redis.call('HSET', KEYS[4], ARGV[1], string.format('%d ', now) .. ARGV[5])
local others = {}
local opened = redis.call('HGETALL', KEYS[4])
for i = 1, #opened, 2 do
  local at, what = string.match(opened[i + 1], '^(%d+) (.*)$')
  if now - at > tonumber(ARGV[6]) then redis.call('HDEL', KEYS[4], opened[i])
  elseif opened[i] ~= ARGV[1] then others[#others + 1] = what end
end
local names = ARGV[2] == '0' and redis.call('HKEYS', KEYS[2]) or redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[2], '+inf')
local members = {}
for _, member in ipairs(names) do
  local sent, refused = unpack(redis.call('HMGET', KEYS[1], 'sent|' .. member, 'refused|' .. member))
  for _, value in ipairs({ member, sent or 0, refused or 0, redis.call('HGET', KEYS[2], member) or 0 }) do members[#members + 1] = tostring(value) end
end
for _, name in ipairs(KEYS) do redis.call('EXPIRE', name, 172800) end
return { epoch, redis.call('HGET', KEYS[1], 'revision') or '0', string.format('%d', now), others, members }`

interface Account { day: string, sent: number, refused: number, seenMs: number }

type Answer = [epoch: string, revision: string, nowMs: string, others: string[], members: string[]]

interface FleetUsageOptions {
  fleet: Pick<FleetService, 'redis' | 'key' | 'instance'>
  local: LocalLimits
  pressure: () => { open: number, waiting: number }
  /** How far Redis's clock is ahead of this machine's, milliseconds. */
  onClock: (aheadMs: number) => void
}

/** The members' counts of all instances: told and heard once a second. */
export class FleetUsage {
  readonly #options: FleetUsageOptions
  /** By member: what Redis is known to have counted. */
  readonly #known = new Map<string, Account>()
  #elsewhere = new Map<string, number>()
  waitingElsewhere = 0
  #epoch = ''
  #revision = '0'
  #running: Promise<boolean> | undefined
  #clockAheadMs = 0

  constructor (options: FleetUsageOptions) {
    this.#options = options
  }

  /** What others have open of a member; `*` = ordinary requests of all. */
  openElsewhere (name: string): number {
    return this.#elsewhere.get(name) ?? 0
  }

  /** One request was counted by the limits' script: it needn't be told again. */
  countedThere (usage: Usage): void {
    this.#accountOf(usage).sent++
  }

  /** What was counted before this process is no news. */
  adoptRestored (): void {
    for (const usage of this.#options.local.usages) Object.assign(this.#accountOf(usage), { sent: usage.sentToday, refused: usage.refusedToday })
  }

  /** Resolves to false when Redis didn't answer. */
  exchange (): Promise<boolean> {
    this.#running ??= this.#exchangeAll().finally(() => { this.#running = undefined })
    return this.#running
  }

  async #exchangeAll (): Promise<boolean> {
    try {
      const epoch = this.#epoch
      await this.#exchangeOnce(false)
      if (this.#epoch !== epoch) await this.#exchangeOnce(true)
      return true
    } catch {
      this.#elsewhere.clear()
      this.waitingElsewhere = 0
      return false
    }
  }

  /** @param whole tell totals: Redis may have lost them */
  async #exchangeOnce (whole: boolean): Promise<void> {
    const { fleet: { redis, key, instance }, local } = this.#options
    const told = new Map<string, Account>()
    const words: Array<string | number> = [instance, whole ? '0' : this.#revision, whole ? 'whole' : this.#epoch, Date.parse(local.day) / dayMs, this.#describeOpen(), believedMs]
    for (const usage of local.usages) {
      const known = this.#accountOf(usage)
      if (whole ? usage.lastSeenMs === 0 : isTold(usage, known)) continue
      const seen = Math.max(0, Date.now() - usage.lastSeenMs)
      words.push(usage.name, known.sent, usage.sentToday - known.sent, known.refused, usage.refusedToday - known.refused, seen)
      told.set(usage.name, { day: known.day, sent: usage.sentToday - known.sent, refused: usage.refusedToday - known.refused, seenMs: usage.lastSeenMs })
    }
    const keys = ['day', 'seen', 'changed', 'opened'].map(name => key('limits:' + name))
    this.#take(await redis.eval(script, keys.length, ...keys, ...words) as Answer, told, whole)
  }

  #describeOpen (): string {
    const { local, pressure } = this.#options
    const { open, waiting } = pressure()
    const members = [...local.usages].flatMap(usage => local.openOf(usage) > 0 ? [[usage.name, local.openOf(usage)] as const] : [])
    return JSON.stringify({ open, waiting, members: Object.fromEntries(members) })
  }

  #take ([epoch, revision, nowMs, others, members]: Answer, told: Map<string, Account>, whole: boolean): void {
    const { local } = this.#options
    this.#clockAheadMs = Number(nowMs) - Date.now()
    this.#options.onClock(this.#clockAheadMs)
    local.adoptDay(Number(nowMs))
    const isNew = epoch !== this.#epoch
    this.#epoch = epoch
    if (isNew && !whole) return
    this.#revision = revision
    for (const [name, { day, sent, refused, seenMs }] of told) {
      const account = this.#known.get(name)
      if (account === undefined) continue
      account.seenMs = seenMs
      // What was told of another day than Redis's wasn't counted.
      if (day === local.day && account.day === day) Object.assign(account, { sent: account.sent + sent, refused: account.refused + refused })
    }
    for (let index = 0; index < members.length; index += 4) this.#adopt(members[index] as string, members.slice(index + 1, index + 4).map(Number))
    this.#sumUp(others.map(text => JSON.parse(text) as { open: number, waiting: number, members: Record<string, number> }))
  }

  /** What is counted here and not told yet comes on top of what all told. */
  #adopt (name: string, [sent = 0, refused = 0, seenMs = 0]: number[]): void {
    const usage = this.#options.local.usage(name)
    const known = this.#accountOf(usage)
    usage.sentToday = Math.max(0, sent + usage.sentToday - known.sent)
    usage.refusedToday = Math.max(0, refused + usage.refusedToday - known.refused)
    usage.lastSeenMs = Math.max(usage.lastSeenMs, seenMs === 0 ? 0 : seenMs - this.#clockAheadMs)
    Object.assign(known, { sent, refused, seenMs: usage.lastSeenMs })
  }

  #sumUp (others: Array<{ open: number, waiting: number, members: Record<string, number> }>): void {
    this.#elsewhere = new Map([['*', others.reduce((sum, { open }) => sum + open, 0)]])
    this.waitingElsewhere = others.reduce((sum, { waiting }) => sum + waiting, 0)
    for (const { members } of others) {
      for (const [name, open] of Object.entries(members)) this.#elsewhere.set(name, (this.#elsewhere.get(name) ?? 0) + open)
    }
  }

  #accountOf ({ name, lastSeenMs }: Usage): Account {
    const { day } = this.#options.local
    let account = this.#known.get(name)
    if (account?.day !== day) this.#known.set(name, account = { day, sent: 0, refused: 0, seenMs: account?.seenMs ?? (lastSeenMs === 0 ? 0 : -1) })
    return account
  }
}

function isTold ({ sentToday, refusedToday, lastSeenMs }: Usage, known: Account): boolean {
  return sentToday === known.sent && refusedToday === known.refused && lastSeenMs === known.seenMs
}
