/**
 * The part of the limits' script (`limits-script.ts`) that counts tokens and the day's requests. A token is in one place only: in
 * Redis's bucket, or with an instance that is on its own, whose share of the bucket and of what is added to it stays aside here.
 */
export const bucketsScript = `
-- Here is only what the instances in touch have of a bucket; those that are away have their shares with them.
local share = 1
local function measureShare ()
  local here, away = redis.call('ZCARD', SESSIONS), redis.call('ZCARD', AWAY)
  share = here / math.max(1, here + away)
  answers[3] = here + away
end

local function put (name, tokens) redis.call('HSET', BUCKETS, name, string.format('%.9f %d', tokens, now)) end

local function fill (name, rate, burst)
  local bucket = redis.call('HGET', BUCKETS, name)
  if not bucket then return burst * share end
  local tokens, at = string.match(bucket, '^(%S+) (%S+)$')
  local passed = now - at
  -- Another Redis took over whose clock is behind: go on from its time.
  if passed < 0 then put(name, tokens) end
  return math.min(burst, tokens + math.max(0, passed) * rate * share / 1000)
end

-- Takes a token: ms to wait, 0 if it was taken; and how many are left.
local function take (name, rate, burst)
  local tokens = fill(name, rate, burst)
  if tokens < 1 - 1e-6 then return (1 - tokens) * 1000 / rate / share, tokens end
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

local function giveBack (member, rate, burst, daily)
  if tonumber(rate) >= 0 then put(member, math.min(burst, fill(member, tonumber(rate), tonumber(burst)) + 1)) end
  if tonumber(daily) >= 0 and sent(member) > 0 then redis.call('HINCRBY', DAY, 'sent|' .. member, -1) end
end

-- What an instance brings back that was on its own: more or less than it had taken with it. To buckets made anew, all that it has.
local isNewHere = false
local function bringBack (name, rate, burst, more, all)
  local tokens = fill(name, tonumber(rate), tonumber(burst)) + (isNewHere and all or more)
  put(name, math.min(burst, math.max(-burst, tokens)))
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
`
