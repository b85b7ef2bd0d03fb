-- Returns owner, place and values of the first owners beyond a place.
local kind, after, limit = unpack(ARGV)
local found = redis.call('ZRANGEBYSCORE', owners_of(kind), '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
local owners = {}
for nth = 1, #found, 2 do
  table.insert(owners, {found[nth], found[nth + 1], hash_at(counts_of(kind, found[nth]))})
end
return list_json(owners)
