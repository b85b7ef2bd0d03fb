-- Removes an owner unless a field of it has changed, counting elsewhere; returns whether it did.
local kind, owner, field, value, counts = unpack(ARGV)
local hash = counts_of(kind, owner)
if tonumber(redis.call('HGET', hash, field) or 'nan') ~= tonumber(value) then
  return 0
end
redis.call('ZADD', free_of(kind), redis.call('ZSCORE', owners_of(kind), owner), owner)
redis.call('ZREM', owners_of(kind), owner)
redis.call('DEL', hash)
count(counts)
return 1
