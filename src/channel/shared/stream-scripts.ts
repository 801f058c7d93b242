/**
 * The event stream's scripts. Its parts: `epoch` sets positions apart from those of a stream before it, `head` is the
 * newest position, and the entries of the stream have the ids `<position>-0`, without a hole.
 */

/**
 * Appends if the stream is as the writer knows it: so no two instances write at the same place, nothing is written twice
 * after an answer that was lost, and a Redis that lost something is noticed. A writer that doesn't wait for the answer to
 * what it wrote before names the last of that: if another's events stand there, what follows must not come before it.
 * Returns 1 and the new head, or 0 and the present one, or -1 when the stream is another or none.
 * ARGV: epoch, head, first id to keep, mark of the event before (or empty), then mark, head and text of each.
 */
export const appendScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1, '0'} end
local head = redis.call('GET', KEYS[2])
if head ~= ARGV[2] then return {0, head or '0'} end
if ARGV[4] ~= '' then
  local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
  if not last or last[2][2] ~= ARGV[4] then return {0, head} end
end
local position = tonumber(head)
for i = 5, #ARGV, 3 do
  position = position + 1
  redis.call('XADD', KEYS[3], string.format('%.0f-0', position), 'mark', ARGV[i], 'head', ARGV[i + 1], 'text', ARGV[i + 2])
end
head = string.format('%.0f', position)
redis.call('SET', KEYS[2], head)
redis.call('XTRIM', KEYS[3], 'MINID', '~', ARGV[3])
return {1, head}`

/**
 * A new stream in place of one that is lost or unlike what its readers have seen. Positions begin at the time in
 * milliseconds, above all that were ever given, so every reader notices that something is missing. Only if the epoch is
 * still the one that was found wanting.
 */
export const renewScript = `
local epoch = redis.call('GET', KEYS[1]) or ''
if epoch ~= ARGV[1] then return epoch end
local now = redis.call('TIME')
local head = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
redis.call('DEL', KEYS[3])
redis.call('SET', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], head)
return ARGV[2]`

/** The last step of bringing back what Redis has lost: from here on the stream is whole. Only while the lease is the writer's. */
export const restoredScript = `
local held = redis.call('GET', KEYS[3])
if not held or string.match(held, '^(%S+) ') ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[2])
return 1`
