-- One failed attempt: of an address, and on a user; or, with the first key alone, one
-- registration. In windows that do not move.
-- KEYS: the address's hash, all failures by end, all lock-outs by end, the stream, the counts of
-- users, users by end, slowed users by end.
-- ARGV: the address, its attempts, window (ms), now (ms), the user or "", its attempts, how many
-- users are kept.
local address, attempts = ARGV[1], tonumber(ARGV[2])
local window, now = tonumber(ARGV[3]), tonumber(ARGV[4])
local user, user_attempts, most = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local told = {}

-- Or the clock was set back; those of replicas differ by less.
local function is_over(ends)
  return ends <= now or ends > now + window + 60000
end

local known = redis.call('HMGET', KEYS[1], 'count', 'ends')
local count, ends = tonumber(known[1]) or 0, tonumber(known[2]) or 0
if is_over(ends) then
  count, ends = 0, now + window
end
count = count + 1
local text = string.format('%.0f', ends)
redis.call('HSET', KEYS[1], 'count', count, 'ends', text)
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', ends + 60000))
if not KEYS[2] then
  return {count < attempts and 0 or 1, text}
end
redis.call('ZADD', KEYS[2], text, address)
local locked = count >= attempts
if locked then
  redis.call('ZADD', KEYS[3], text, address)
end
if count == attempts then
  told[#told + 1] = '{"locked_out":["' .. address .. '",' .. text .. ']}'
end

local slowed, slowed_until = 0, '0'
if user ~= '' then
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', now, 'LIMIT', 0, 16)) do
    redis.call('ZREM', KEYS[6], gone)
    redis.call('HDEL', KEYS[5], gone)
  end
  local user_ends = tonumber(redis.call('ZSCORE', KEYS[6], user) or 0)
  if is_over(user_ends) then
    user_ends = now + window
    redis.call('HDEL', KEYS[5], user)
    redis.call('ZADD', KEYS[6], string.format('%.0f', user_ends), user)
    if redis.call('ZCARD', KEYS[6]) > most then
      redis.call('HDEL', KEYS[5], redis.call('ZPOPMIN', KEYS[6])[1])
    end
  end
  local tried = redis.call('HINCRBY', KEYS[5], user, 1)
  for key = 5, 6 do
    redis.call('PEXPIREAT', KEYS[key], string.format('%.0f', now + window + 60000))
  end
  if tried >= user_attempts then
    slowed, slowed_until = 1, string.format('%.0f', user_ends)
    redis.call('ZADD', KEYS[7], slowed_until, user)
    if redis.call('ZCARD', KEYS[7]) > most then
      redis.call('ZPOPMIN', KEYS[7])
    end
  end
  if tried == user_attempts then
    slowed = 2
    told[#told + 1] = '{"slowed":["' .. user .. '",' .. slowed_until .. ']}'
  end
end

if #told > 0 then
  local changes = '[' .. table.concat(told, ',') .. ']'
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', '100000', '*', 'changes', changes)
end
return {locked and 1 or 0, text, slowed, slowed_until}
