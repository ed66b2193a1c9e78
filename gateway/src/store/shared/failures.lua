-- One failed attempt of an address, or one registration, in a window that does not move.
-- KEYS: the address's hash; of failures all of them by end, all lock-outs by end, the stream.
-- ARGV: the address, attempts, window (ms), now (ms).
local address, attempts = ARGV[1], tonumber(ARGV[2])
local window, now = tonumber(ARGV[3]), tonumber(ARGV[4])
local known = redis.call('HMGET', KEYS[1], 'count', 'ends')
local count, ends = tonumber(known[1]) or 0, tonumber(known[2]) or 0
if ends <= now or ends > now + window then
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
if count < attempts then
  return {0, text}
end
redis.call('ZADD', KEYS[3], text, address)
if count == attempts then
  local told = '[{"locked_out":["' .. address .. '",' .. text .. ']}]'
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', '100000', '*', 'changes', told)
end
return {1, text}
