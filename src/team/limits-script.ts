/**
 * The shared limits, decided in Redis: one script takes all that one instance has to ask and to tell at the end of a turn of its event
 * loop. It counts by Redis's clock alone. What `LocalLimits` and `FairQueue` are to one process, this is to several, and it decides alike.
 *
 * A *session* is a stretch in which an instance and Redis agree about what the instance holds. One that isn't heard of for `ttlMs` is
 * over: its places are free again, and those of its requests that wait are passed over.
 *
 * KEYS: sessions (sorted set by last sign of life), open (hash, by kind and by kind|member), buckets (hash), day (hash), turns (list of
 * members with somebody waiting, next first), and the prefix of held:SESSION (hash), wait:MEMBER (list) and grants:INSTANCE (channel).
 * ARGV: session, `join` or `go`, ttlMs, the key's rate, burst, places, long polls, WebSockets and most waiting (-1 = no limit), then
 * operations, each a letter and its arguments.
 * Answers `gone`, or: ms to the next token of the key (-1 = nobody waits for one), then id, verdict and figure of each that was asked
 * about or let in; what isn't named there waits.
 */
export const limitsScript = `
local SESSIONS, OPEN, BUCKETS, DAY, TURNS, PREFIX = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local session = ARGV[1]
local ttl = tonumber(ARGV[3])
local keyRate, keyBurst, maxWaiting = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[9])
local keyCaps = { request = tonumber(ARGV[6]), longPoll = tonumber(ARGV[7]), webSocket = tonumber(ARGV[8]) }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answers, told, toldOf = { -1 }, {}, {}

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

local function put (name, tokens) redis.call('HSET', BUCKETS, name, string.format('%.9f %d', tokens, now)) end

local function fill (name, rate, burst)
  local bucket = redis.call('HGET', BUCKETS, name)
  if not bucket then return burst end
  local tokens, at = string.match(bucket, '^(%S+) (%S+)$')
  local passed = now - at
  -- Another Redis took over whose clock is behind: go on from its time.
  if passed < 0 then put(name, tokens) end
  return math.min(burst, tokens + math.max(0, passed) * rate / 1000)
end

-- Takes a token: ms to wait, 0 if it was taken; and how many are left.
local function take (name, rate, burst)
  local tokens = fill(name, rate, burst)
  if tokens < 1 - 1e-6 then return (1 - tokens) * 1000 / rate, tokens end
  put(name, math.max(0, tokens - 1))
  return 0, tokens - 1
end

local dayMs, dayKnown = 86400000, false
local function turnDay ()
  if dayKnown then return end
  local today = math.floor(now / dayMs)
  if tonumber(redis.call('HGET', DAY, 'day') or -1) < today then
    redis.call('DEL', DAY)
    redis.call('HSET', DAY, 'day', string.format('%d', today))
  end
  dayKnown = true
end

local function sent (member)
  turnDay()
  return tonumber(redis.call('HGET', DAY, 'sent|' .. member) or 0)
end

-- One member takes three quarters of the places at most, so that a newcomer never finds them all gone.
local function hasRoom (member, all)
  local cap = keyCaps.request
  return cap < 0 or (all < cap and count('request|' .. member) < math.max(1, math.floor(cap * 0.75)))
end

local function unqueue (member)
  redis.call('HINCRBY', OPEN, 'waiting', -1)
  redis.call('LREM', TURNS, 1, member)
  return redis.call('LLEN', PREFIX .. 'wait:' .. member) > 0
end

local function findNext ()
  local turns = redis.call('LRANGE', TURNS, 0, -1)
  local cap = keyCaps.request
  if cap < 0 then return turns[1] end
  local all = count('request')
  if all >= cap then return nil end
  local scarce, best, fewest = all + #turns >= cap, nil, math.huge
  for _, member in ipairs(turns) do
    if hasRoom(member, all) then
      if not scarce then return member end
      local open = count('request|' .. member)
      if open < fewest then best, fewest = member, open end
    end
  end
  return best
end

local function serve ()
  local member = findNext()
  while member do
    local wait = PREFIX .. 'wait:' .. member
    local who, id = string.match(redis.call('LINDEX', wait, 0), '^(%S+) (%S+)$')
    local alive = redis.call('ZSCORE', SESSIONS, who)
    if alive and keyRate >= 0 then
      local waitMs = take('*', keyRate, keyBurst)
      if waitMs > 0 then
        answers[1] = math.ceil(waitMs)
        return
      end
    end
    redis.call('LPOP', wait)
    if unqueue(member) then redis.call('RPUSH', TURNS, member) end
    if alive then
      hold(who, 'request', member, 1)
      inform(who, id, 'ok')
    end
    member = findNext()
  end
end

-- The newest of whoever has most waiting, so that the greedy pay for the crowd they make.
local function refuseFromLongest ()
  local longest, most = nil, 0
  for _, member in ipairs(redis.call('LRANGE', TURNS, 0, -1)) do
    local length = redis.call('LLEN', PREFIX .. 'wait:' .. member)
    if length > most then longest, most = member, length end
  end
  local entry = redis.call('RPOP', PREFIX .. 'wait:' .. longest)
  redis.call('HINCRBY', OPEN, 'waiting', -1)
  if most == 1 then redis.call('LREM', TURNS, 1, longest) end
  local who, id = string.match(entry, '^(%S+) (%S+)$')
  -- Its client may leave before the message is there.
  redis.call('SET', PREFIX .. 'refused:' .. entry, '1', 'PX', 60000)
  inform(who, id, 'busy')
end

local function queue (id, member, tokens)
  local all = count('request')
  if redis.call('LLEN', TURNS) == 0 and hasRoom(member, all) and (keyRate < 0 or take('*', keyRate, keyBurst) == 0) then
    hold(session, 'request', member, 1)
    return answer(id, 'ok', tokens)
  end
  if redis.call('RPUSH', PREFIX .. 'wait:' .. member, session .. ' ' .. id) == 1 then redis.call('RPUSH', TURNS, member) end
  if redis.call('HINCRBY', OPEN, 'waiting', 1) > maxWaiting then refuseFromLongest() end
end

local function acquire (id, kind, member, rate, burst, cap, daily)
  rate, burst, cap, daily = tonumber(rate), tonumber(burst), tonumber(cap), tonumber(daily)
  local isQueued = kind == 'request' and (keyRate >= 0 or keyCaps.request >= 0)
  if cap >= 0 then
    local waiting = isQueued and redis.call('LLEN', PREFIX .. 'wait:' .. member) or 0
    if count(kind .. '|' .. member) + waiting >= cap then return answer(id, 'open', -1) end
  end
  if kind ~= 'request' and keyCaps[kind] >= 0 and count(kind) >= keyCaps[kind] then return answer(id, 'all', -1) end
  if daily >= 0 and sent(member) >= daily then return answer(id, 'daily', dayMs - now % dayMs) end
  local tokens = -1
  if rate >= 0 then
    local waitMs, left = take(member, rate, burst)
    if waitMs > 0 then return answer(id, 'rate', waitMs) end
    tokens = math.floor(left)
  end
  if daily >= 0 then redis.call('HINCRBY', DAY, 'sent|' .. member, 1) end
  if isQueued then return queue(id, member, tokens) end
  if cap >= 0 or (kind ~= 'request' and keyCaps[kind] >= 0) then hold(session, kind, member, 1) end
  answer(id, 'ok', tokens)
end

-- A waiting request's client left, or it waited too long. It may have got its place in the meantime.
local function cancel (id, member)
  local entry = session .. ' ' .. id
  if redis.call('LREM', PREFIX .. 'wait:' .. member, 1, entry) == 1 then
    redis.call('HINCRBY', OPEN, 'waiting', -1)
    if redis.call('LLEN', PREFIX .. 'wait:' .. member) == 0 then redis.call('LREM', TURNS, 1, member) end
  elseif redis.call('DEL', PREFIX .. 'refused:' .. entry) == 0 then
    hold(session, 'request', member, -1)
  end
end

local function giveBack (member, rate, burst, daily)
  if tonumber(rate) >= 0 then put(member, math.min(burst, fill(member, tonumber(rate), tonumber(burst)) + 1)) end
  if tonumber(daily) >= 0 and sent(member) > 0 then redis.call('HINCRBY', DAY, 'sent|' .. member, -1) end
end

-- What an instance took while it was on its own. A Redis that lost its memory begins with what that instance had left.
local function debit (name, rate, burst, taken, left)
  if redis.call('HEXISTS', BUCKETS, name) == 0 then return put(name, tonumber(left)) end
  put(name, math.max(0, fill(name, tonumber(rate), tonumber(burst)) - taken))
end

-- Guessed tokens, by network; the bucket is full again when it expires.
local function guess (id, network, rate, burst)
  rate, burst = tonumber(rate), tonumber(burst)
  local name = PREFIX .. 'wrong:' .. network
  local bucket = redis.call('GET', name)
  local tokens = burst
  if bucket then
    local left, at = string.match(bucket, '^(%S+) (%S+)$')
    tokens = math.min(burst, left + math.max(0, now - at) * rate / 1000)
  end
  if tokens < 1 - 1e-6 then return answer(id, 'rate', (1 - tokens) * 1000 / rate) end
  redis.call('SET', name, string.format('%.9f %d', tokens - 1, now), 'PX', math.ceil(burst / rate * 1000))
  answer(id, 'ok', -1)
end

-- Nothing outlives a fleet by more than two days.
local function expire ()
  for _, name in ipairs({ SESSIONS, OPEN, BUCKETS, DAY, TURNS, PREFIX .. 'held:' .. session }) do redis.call('EXPIRE', name, 172800) end
end

local operations = {
  a = { 7, acquire },
  c = { 2, cancel },
  h = { 3, function (kind, member, places) hold(session, kind, member, places) end },
  g = { 4, giveBack },
  d = { 5, debit },
  w = { 4, guess },
  e = { 0, expire },
  x = { 1, drop }
}

for _, who in ipairs(redis.call('ZRANGEBYSCORE', SESSIONS, '-inf', now - ttl)) do drop(who) end
if ARGV[2] ~= 'join' and not redis.call('ZSCORE', SESSIONS, session) then return { 'gone' } end
redis.call('ZADD', SESSIONS, now, session)

local i = 10
while i <= #ARGV do
  local arity, run = unpack(operations[ARGV[i]])
  run(unpack(ARGV, i + 1, i + arity))
  i = i + arity + 1
end
if redis.call('LLEN', TURNS) > 0 then serve() end

for _, who in ipairs(told) do
  redis.call('PUBLISH', PREFIX .. 'grants:' .. string.match(who, '^[^.]+'), table.concat(toldOf[who], ' '))
end
return answers
`
