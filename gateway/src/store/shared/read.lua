-- Records as they stand at one place of the stream.
-- KEYS: the stream, then what is read. ARGV: for each the field of a hash, or "".
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local answer = {last[1] and last[1][1] or '0-0'}
for i = 2, #KEYS do
  local field = ARGV[i - 1]
  answer[i] = field == '' and redis.call('GET', KEYS[i]) or field ~= '' and redis.call('HGET', KEYS[i], field)
end
return answer
