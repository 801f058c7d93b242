/** The part of the limits' script (`limits-script.ts`) that knows who is in touch, and who may be on its own. */
export const sessionsScript = `
-- Nobody was in touch: what the buckets say is older than what the instances know. Each is as full as what they bring.
local function beginAnew (size)
  redis.call('DEL', BUCKETS)
  redis.call('HSET', BUCKETS, '@', session)
  local missing = size - 1 - redis.call('ZCARD', AWAY)
  for n = 1, missing do redis.call('ZADD', AWAY, now + awayMs, '?' .. n) end
end

-- One of those that a new Redis knows only the number of has come.
local function forgetUnknown ()
  for _, who in ipairs(redis.call('ZRANGE', AWAY, 0, -1)) do
    if string.sub(who, 1, 1) == '?' then return redis.call('ZREM', AWAY, who) end
  end
end

-- All sessions of an instance, or of the process before it. Were there any?
local function forgetEarlier (earlier)
  local instance, found = string.match(earlier, '^[^.]+'), false
  for _, name in ipairs({ SESSIONS, AWAY }) do
    for _, who in ipairs(redis.call('ZRANGE', name, 0, -1)) do
      if string.match(who, '^[^.]+') == instance then
        drop(who)
        redis.call('ZREM', AWAY, who)
        found = true
      end
    end
  end
  return found
end

local function join (earlier, epoch, size)
  local wasAlone = redis.call('ZCARD', SESSIONS) == 0
  if earlier ~= '-' and not forgetEarlier(earlier) then forgetUnknown() end
  if wasAlone or redis.call('HEXISTS', BUCKETS, '@') == 0 then beginAnew(size) end
  isNewHere = epoch ~= '-' and redis.call('HGET', BUCKETS, '@') ~= epoch
end

-- Whoever is not heard of any more may be on its own: its share stays aside for a while.
for _, who in ipairs(redis.call('ZRANGEBYSCORE', SESSIONS, '-inf', now - ttl)) do
  drop(who)
  redis.call('ZADD', AWAY, now + awayMs, who)
end
redis.call('ZREMRANGEBYSCORE', AWAY, '-inf', now)
measureShare()

if ARGV[2] == 'join' then join(ARGV[11], ARGV[12], tonumber(ARGV[13]))
elseif not redis.call('ZSCORE', SESSIONS, session) then return { 'gone' } end
redis.call('ZADD', SESSIONS, now, session)
-- Whoever was never in touch has taken nothing with it: its share is here.
if ARGV[2] == 'join' and ARGV[12] == '-' then measureShare() end
`
