-- Books what a replica has spent of the buckets of addresses, and says what it may spend
-- next; `auth/bucket.rs` does the same.
-- KEYS: the replicas alive, then each address's bucket: level, when (µs), the second, the
-- replicas active in it and in the one before.
-- ARGV: the replica, how long one counts as alive (s), tokens a second, burst; for each
-- address tokens, their age (µs), and the second of the replica's last report.

-- Worth a few seconds each: neither the append-only file nor copies are burdened with it.
redis.set_repl(redis.REPL_NONE)
local time = redis.call('TIME')
local second = tonumber(time[1])
local now = second * 1000000 + tonumber(time[2])
redis.call('ZADD', KEYS[1], second, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', second - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], ARGV[2])

local rate, burst, almost = tonumber(ARGV[3]), tonumber(ARGV[4]), 0.000001
local answer = {second, redis.call('ZCARD', KEYS[1])}
for i = 2, #KEYS do
  local tokens, age = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local counted_in = tonumber(ARGV[3 * i + 1])
  local held = redis.pcall('GET', KEYS[i])
  local level, at, last, active, before
  if type(held) == 'string' then
    level, at, last, active, before = held:match('^(%S+) (%d+) (%d+) (%d+) (%d+)$')
  end
  level, at, last = tonumber(level) or burst, tonumber(at) or now, tonumber(last) or 0
  active, before = tonumber(active) or 0, tonumber(before) or 0

  if last ~= second then
    before = last + 1 == second and active or 0
    active = 0
  end
  if counted_in ~= second then
    active = active + 1
  end
  local sharing = math.max(active, before, 1)

  local returned = math.max(math.min(age * rate / 1000000, tokens), 0)
  local gained = math.max(now - at, 0) * rate / 1000000
  level = math.min(level + gained, burst + returned) - tokens
  level = math.min(math.max(level, -60 * rate), burst)
  local allowance = 0
  if level + almost >= 1 then
    allowance = burst
    if sharing > 1 then
      allowance = math.floor(math.min(math.max(2 * level / sharing, 1), level) + almost)
    end
  end
  local reserved = (allowance == 1 and sharing > 1) and 1 or 0
  local left = level - reserved
  -- Until it is full again, which is as good as none, and who was active is forgotten.
  local lifetime = math.ceil((burst - left) / rate * 1000) + 2000
  local text = string.format('%.6f %.0f %.0f %.0f %.0f', left, now, second, active, before)
  redis.call('SET', KEYS[i], text, 'PX', string.format('%.0f', lifetime))
  answer[#answer + 1] = math.floor(level * 1000000 + 0.5)
  answer[#answer + 1] = allowance
  answer[#answer + 1] = reserved
end
return answer
