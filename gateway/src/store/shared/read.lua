-- Records as they stand at one place of the stream.
-- KEYS: the stream, the description, then what is read. ARGV: whose database it is,
-- then for each the field of a hash, or "".
if redis.call('HGET', KEYS[2], 'installation') ~= ARGV[1] then
  return {err = 'REPLACED the database was emptied or replaced'}
end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local answer = {last[1] and last[1][1] or '0-0'}
for i = 3, #KEYS do
  local field = ARGV[i - 1]
  answer[i - 1] = field == '' and redis.call('GET', KEYS[i]) or field ~= '' and redis.call('HGET', KEYS[i], field)
end
return answer
