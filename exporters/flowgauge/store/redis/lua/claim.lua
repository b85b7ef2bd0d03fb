local owner, lease_us, limit = unpack(ARGV)
local now = now_us()
-- The clock may have been set back: no lease ends later than it would had it begun now, nor one
-- shorter than this later than this.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', leased, beyond(now + lease_us), '+inf')) do
  local ends = now + (redis.call('HGET', hash_of(id), 'lease_us') or lease_us)
  if ends < tonumber(redis.call('ZSCORE', leased, id)) then
    redis.call('ZADD', leased, ends, id)
  end
end
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
  lease(id, owner, now, lease_us)
end
return read(ids)
