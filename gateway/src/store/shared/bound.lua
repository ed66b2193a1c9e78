-- The head of every script: nothing is read from, or written to, another database than the
-- one that memory was read from. KEYS and ARGV begin with the description, and whose
-- database it is; the script behind does not see them.
local described = redis.pcall('HGET', table.remove(KEYS, 1), 'installation')
if described ~= table.remove(ARGV, 1) then
  return {err = 'REPLACED the database was emptied or replaced'}
end
