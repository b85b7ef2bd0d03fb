-- Returns owner, place and hash of the first owners beyond a place, as JSON: it is read much faster
-- than as many replies.
local kind, after, limit = unpack(ARGV)
local found = redis.call('ZRANGEBYSCORE', owners_of(kind), '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
local owners = {}
for nth = 1, #found, 2 do
  table.insert(owners, {found[nth], found[nth + 1], redis.call('HGETALL', counts_of(kind, found[nth]))})
end
return cjson.encode(owners)
