local owner, lease_us, limit = unpack(ARGV)
local now = now_us()
for _, id in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now)) do
  redis.call('ZREM', leased, id)
  redis.call('ZADD', line, redis.call('HGET', hash_of(id), 'place'), id)
  local lapsed = redis.call('HGET', hash_of(id), 'lapsed')
  if lapsed then
    redis.call('HDEL', hash_of(id), 'lapsed')
    count(lapsed)
  end
end
local ids = redis.call('ZRANGE', line, 0, limit - 1)
for _, id in ipairs(ids) do
  lease(id, owner, now + lease_us)
end
return read(ids)
