-- Marks a database for an import, so that nobody else uses it before its end; programs that do
-- not know the mark take it for a later schema. KEYS: the description. ARGV: format, a schema that
-- nobody reads, the export, an id, and "new" or "resume". Answers the mark and the id that hold now,
-- and, unless it was marked before, the id that held until now.
local found = redis.call('HMGET', KEYS[1], 'format', 'import', 'installation')
if redis.call('EXISTS', KEYS[1]) == 1 and found[1] ~= ARGV[1] then
  return {err = 'FOREIGN something else lies there'}
end
if found[2] then
  return {found[2], found[3], false}
end
-- With another id, what a gateway that has seen the empty database still sends is refused.
local id = ARGV[5] == 'resume' and found[3] or ARGV[4]
redis.call('HSET', KEYS[1], 'format', ARGV[1], 'schema', ARGV[2], 'reads', ARGV[2],
  'installation', id, 'import', ARGV[3])
return {ARGV[3], id, found[3] or id}
