local id, reason, detail = unpack(ARGV)
local created = redis.call('ZSCORE', waiting, id)
if created then
  out_of_line(id)
  redis.call('ZREM', waiting, id)
  redis.call('ZADD', aside, created, id)
  redis.call('HSET', hash_of(id), 'poison', detail)
  redis.call('HINCRBY', hash_of(id), 'attempts', 1)
  count_failure(redis.call('HGET', hash_of(id), 'pair'), reason)
end
