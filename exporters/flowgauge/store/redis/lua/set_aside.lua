local id, reason, detail, counts = unpack(ARGV)
local created = redis.call('ZSCORE', waiting, id)
if created then
  out_of_line(id)
  redis.call('ZREM', waiting, id)
  redis.call('ZADD', aside, created, id)
  redis.call('HSET', hash_of(id), 'poison', detail)
  attempted(id, reason)
  count(counts)
end
