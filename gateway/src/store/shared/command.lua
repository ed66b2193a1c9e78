-- One command. ARGV: its words.
return redis.call(unpack(ARGV))
