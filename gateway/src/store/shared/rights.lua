-- Which of our commands the user may not run on our keys. KEYS: the description. ARGV: commands.
-- Servers before 7.0 cannot tell without running them.
if redis.acl_check_cmd == nil then
  return {}
end
local missing = {}
for _, command in ipairs(ARGV) do
  -- Some take keys only.
  local key = KEYS[1]
  local known, allowed = pcall(redis.acl_check_cmd, command, key, key, key, key)
  if known and not allowed then
    missing[#missing + 1] = command
  end
end
return missing
