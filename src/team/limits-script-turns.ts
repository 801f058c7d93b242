/** The part of the limits' script (`limits-script.ts`) that gives places, and turns at them. */
export const turnsScript = `
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
`
