-- Returns owner, place, time and values of the first owners beyond a place.
local kind, after, limit = unpack(ARGV)
local found = redis.call(
  'ZRANGEBYSCORE', owners_of(kind), '(' .. after, '(+inf', 'WITHSCORES', 'LIMIT', 0, limit)
local owners = {}
for nth = 1, #found, 2 do
  local owner, at = found[nth], found[nth + 1]
  local seen = redis.call('ZSCORE', seen_of(kind), owner)
  table.insert(owners, {owner, at, seen, hash_at(counts_of(kind, owner))})
end
return list_json(owners)
