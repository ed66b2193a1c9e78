-- One intent, all or nothing.
-- KEYS: the stream, the description, the keys that were read, the sets that are bounded,
-- the key of each command.
-- ARGV: whose database it is; what the others are told ("" for nothing); how many were read, and for each
-- "absent" or "held" and the value; how many are bounded, and for each where counting
-- begins ("" for a set without order) and how many there may be; how many commands, and for each its name, how many
-- arguments, and those.
local next = 0
local function take()
  next = next + 1
  return ARGV[next]
end

if redis.call('HGET', KEYS[2], 'installation') ~= take() then
  return {err = 'REPLACED the database was emptied or replaced'}
end
local told = take()
local read = tonumber(take())
for i = 1, read do
  local state, value = take(), take()
  local held = redis.call('GET', KEYS[2 + i])
  if (state == 'absent' and held) or (state == 'held' and held ~= value) then
    return {0, KEYS[2 + i]}
  end
end

local bounded = tonumber(take())
for i = 1, bounded do
  local key, from, most = KEYS[2 + read + i], take(), tonumber(take())
  local held = from == '' and redis.call('SCARD', key) or from ~= '' and redis.call('ZLEXCOUNT', key, from, '+')
  if held > most then
    return {0, key}
  end
end

-- A script is not rolled back: a key of another type, written by somebody else, must be
-- found before anything is written.
local types = {
  ZADD = 'zset', ZREM = 'zset', ZREMRANGEBYSCORE = 'zset',
  SADD = 'set', SREM = 'set', HSET = 'hash', HDEL = 'hash', RAISE = 'hash',
}
local function check(key, wanted)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= wanted then
    return {err = 'WRONGTYPE ' .. key .. ' holds a ' .. found .. ', not a ' .. wanted}
  end
end

local commands = {}
for i = 1, tonumber(take()) do
  local name, key = take(), KEYS[2 + read + bounded + i]
  local command = {name, key}
  for _ = 1, tonumber(take()) do
    command[#command + 1] = take()
  end
  local wrong = types[name] and check(key, types[name])
  if wrong then return wrong end
  commands[i] = command
end
local wrong = told ~= '' and check(KEYS[1], 'stream')
if wrong then return wrong end

-- Sets a field to a number unless it holds a greater one.
local function raise(key, field, number)
  local held = tonumber(redis.call('HGET', key, field))
  if not held or held < tonumber(number) then
    redis.call('HSET', key, field, number)
  end
end

for _, command in ipairs(commands) do
  if command[1] == 'RAISE' then
    raise(command[2], command[3], command[4])
  else
    redis.call(unpack(command))
  end
end
if told == '' then
  return {1, ''}
end
return {1, redis.call('XADD', KEYS[1], 'MAXLEN', '~', '100000', '*', 'changes', told)}
