import { bucketsScript } from './limits-script-buckets.ts'
import { sessionsScript } from './limits-script-sessions.ts'
import { turnsScript } from './limits-script-turns.ts'

/**
 * The shared limits, decided in Redis: one script takes all that one instance has to ask and to tell at the end of a turn of its event
 * loop. It counts by Redis's clock alone. What `LocalLimits` and `FairQueue` are to one process, this is to several, and it decides alike.
 *
 * A *session* is a stretch in which an instance and Redis agree about what the instance holds. One that isn't heard of for `ttlMs` is
 * over: its places are free again, those of its requests that wait are passed over, and as the instance may go on alone, its share of
 * all rates is kept aside for `awayMs`, or until it is back.
 *
 * KEYS: sessions (sorted set by last sign of life), away (sorted set of sessions that ended without a word, by when they are forgotten;
 * `?1`, … are some that only their number is known of), open (hash, by kind and by kind|member), buckets (hash; `@` names this set of
 * buckets), day (hash), turns (list of members with somebody waiting, next first), and the prefix of held:SESSION (hash), wait:MEMBER
 * (list) and grants:INSTANCE (channel).
 * ARGV: session, `join` or `go`, ttlMs, the key's rate, burst, places, long polls, WebSockets and most waiting (-1 = no limit), awayMs,
 * of this instance its session before (`-` = none), the set of buckets it knew then (`-` = it was never in touch) and how many instances
 * there were (0 = unknown), then operations, each a letter and its arguments.
 * Answers `gone`, or: ms to the next token of the key (-1 = nobody waits for one), the key's tokens, how many instances there are, the
 * set of buckets, then id, verdict and figure of each that was asked about or let in; what isn't named there waits.
 */
export const limitsScript = `
local SESSIONS, AWAY, OPEN, BUCKETS, DAY, TURNS, PREFIX = unpack(KEYS)
local session = ARGV[1]
local ttl, awayMs = tonumber(ARGV[3]), tonumber(ARGV[10])
local keyRate, keyBurst, maxWaiting = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[9])
local keyCaps = { request = tonumber(ARGV[6]), longPoll = tonumber(ARGV[7]), webSocket = tonumber(ARGV[8]) }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answers, told, toldOf = { -1, -1, 0, '' }, {}, {}

local function count (field) return tonumber(redis.call('HGET', OPEN, field) or 0) end

local function answer (id, verdict, figure)
  answers[#answers + 1] = tonumber(id)
  answers[#answers + 1] = verdict
  answers[#answers + 1] = math.ceil(figure)
end

-- To whoever it concerns: in the answer, or by a message to the other instance.
local function inform (who, id, verdict)
  if who == session then return answer(id, verdict, -1) end
  if not toldOf[who] then
    toldOf[who] = { who }
    told[#told + 1] = who
  end
  table.insert(toldOf[who], id .. ' ' .. verdict)
end

local function hold (who, kind, member, places)
  redis.call('HINCRBY', OPEN, kind, places)
  redis.call('HINCRBY', OPEN, kind .. '|' .. member, places)
  redis.call('HINCRBY', PREFIX .. 'held:' .. who, kind .. '|' .. member, places)
end

local function drop (who)
  local held = redis.call('HGETALL', PREFIX .. 'held:' .. who)
  for i = 1, #held, 2 do
    -- As text, because a negative zero is no integer to Redis.
    local places = string.format('%d', -held[i + 1])
    redis.call('HINCRBY', OPEN, held[i], places)
    redis.call('HINCRBY', OPEN, string.match(held[i], '^[^|]+'), places)
  end
  redis.call('DEL', PREFIX .. 'held:' .. who)
  redis.call('ZREM', SESSIONS, who)
end
${bucketsScript}${turnsScript}
-- Nothing outlives a fleet by more than two days.
local function expire ()
  for _, name in ipairs({ SESSIONS, AWAY, OPEN, BUCKETS, DAY, TURNS, PREFIX .. 'held:' .. session }) do redis.call('EXPIRE', name, 172800) end
end

local operations = {
  a = { 7, acquire },
  c = { 2, cancel },
  h = { 3, function (kind, member, places) hold(session, kind, member, places) end },
  g = { 4, giveBack },
  b = { 5, bringBack },
  w = { 4, guess },
  e = { 0, expire },
  x = { 1, drop }
}
${sessionsScript}
local i = 14
while i <= #ARGV do
  local arity, run = unpack(operations[ARGV[i]])
  run(unpack(ARGV, i + 1, i + arity))
  i = i + arity + 1
end
measureShare()
if redis.call('LLEN', TURNS) > 0 then serve() end
if keyRate >= 0 then answers[2] = math.floor(fill('*', keyRate, keyBurst)) end
answers[4] = redis.call('HGET', BUCKETS, '@') or ''

for _, who in ipairs(told) do
  redis.call('PUBLISH', PREFIX .. 'grants:' .. string.match(who, '^[^.]+'), table.concat(toldOf[who], ' '))
end
return answers
`
