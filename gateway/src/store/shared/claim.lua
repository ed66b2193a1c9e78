-- Makes a database ours that is nobody's. KEYS: the description. ARGV: format, schema, id.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'format', ARGV[1], 'schema', ARGV[2], 'reads', '1', 'installation', ARGV[3])
end
return 'OK'
