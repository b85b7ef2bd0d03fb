local owner, limit, lease_us = unpack(ARGV)
local now = now_us()
for _, id in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now)) do
  redis.call('ZREM', leased, id)
  redis.call('ZADD', line, redis.call('HGET', hash_of(id), 'place'), id)
end
local ids = redis.call('ZRANGE', line, 0, limit - 1)
for _, id in ipairs(ids) do
  redis.call('ZREM', line, id)
  redis.call('ZADD', leased, now + lease_us, id)
  redis.call('HSET', hash_of(id), 'owner', owner)
end
return read(ids)
