-- Which of our commands the user may not run on our keys. KEYS: the description. ARGV: commands.
-- Servers before 7.0 cannot tell without running them.
if redis.acl_check_cmd == nil then
  return {}
end
local missing = {}
local function miss(name, ...)
  local known, allowed = pcall(redis.acl_check_cmd, ...)
  if known and not allowed then
    missing[#missing + 1] = name
  end
end
for _, command in ipairs(ARGV) do
  -- Some take keys only.
  local key = KEYS[1]
  miss(command, command, key, key, key, key)
end
miss('EVALSHA', 'EVALSHA', '', 1, KEYS[1])
miss('SCRIPT', 'SCRIPT', 'LOAD', '')
return missing
