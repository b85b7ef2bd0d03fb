local id, pair, body, reason, owner, lease_us, lapsed, counts = unpack(ARGV)
if redis.call('EXISTS', hash_of(id)) == 1 then
  return
end
local now = now_us()
redis.call('HSET', hash_of(id), 'pair', pair, 'body', body, 'created_us', now, 'reason', reason)
redis.call('ZADD', waiting, now, id)
to_the_end_of_the_line(id)
if owner ~= '' then
  lease(id, owner, now + lease_us)
  redis.call('HSET', hash_of(id), 'lapsed', lapsed)
end
count(counts)
