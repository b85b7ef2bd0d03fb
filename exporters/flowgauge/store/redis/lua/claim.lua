local owner, lease_us, limit = unpack(ARGV)
local now = now_us()
-- The clock may have been set back: no lease ends later than it would had it begun now, nor one
-- shorter than this later than this.
local late = redis.call('ZRANGEBYSCORE', leased, beyond(now + lease_us), '+inf', 'LIMIT', 0, SOME)
for _, id in ipairs(late) do
  local ends = is_whole(id) and now + (number_of(id, 'lease_us') or lease_us)
  if ends and ends < tonumber(redis.call('ZSCORE', leased, id)) then
    redis.call('ZADD', leased, ends, id)
  end
end
mend()
for _, id in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, SOME)) do
  if is_whole(id) then
    redis.call('ZREM', leased, id)
    local place = number_of(id, 'place')
    if place then
      redis.call('ZADD', line, place, id)
    else
      to_the_end_of_the_line(id)
    end
    local lapsed = redis.call('HGET', hash_of(id), 'lapsed')
    if lapsed then
      redis.call('HDEL', hash_of(id), 'lapsed')
      -- One that somebody else wrote is no reason to claim none.
      pcall(count, lapsed)
    end
  end
end
local ids = {}
for _, id in ipairs(redis.call('ZRANGE', line, 0, limit + SOME)) do
  if #ids < tonumber(limit) and is_whole(id) then
    table.insert(ids, id)
    lease(id, owner, now, lease_us)
  end
end
return read(ids)
