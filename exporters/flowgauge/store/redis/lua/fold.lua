-- Removes an owner that was not seen since, counting elsewhere; returns whether.
local kind, owner, seen, counts = unpack(ARGV)
local at = redis.call('ZSCORE', owners_of(kind), owner)
if not at or tonumber(redis.call('ZSCORE', seen_of(kind), owner) or 0) ~= tonumber(seen) then
  return 0
end
redis.call('ZADD', free_of(kind), at, owner)
redis.call('ZREM', owners_of(kind), owner)
redis.call('ZREM', seen_of(kind), owner)
redis.call('DEL', counts_of(kind, owner))
count(counts)
return 1
