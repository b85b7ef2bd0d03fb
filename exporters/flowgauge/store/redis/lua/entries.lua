-- Returns where the oldest entries beyond a cursor end, and these, of those waiting and of those set
-- aside. Of two of one time, the one that waits comes first.
local cursor, limit = ARGV[1] ~= '' and cjson.decode(ARGV[1]), tonumber(ARGV[2])

local function oldest(name, ids)
  if not cursor then
    return redis.call('ZRANGE', ids, 0, limit - 1, 'WITHSCORES')
  end
  local last_of, created, id = unpack(cursor)
  local rank = redis.call('ZRANK', ids, id)
  if rank then
    return redis.call('ZRANGE', ids, rank + 1, rank + limit, 'WITHSCORES')
  end
  local from = (name == 'aside' and last_of == 'waiting') and created or '(' .. created
  return redis.call('ZRANGEBYSCORE', ids, from, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
end

local one, other = oldest('waiting', waiting), oldest('aside', aside)
local ids, nth, mth, last = {}, 1, 1, ARGV[1]
while #ids < limit and (one[nth] or other[mth]) do
  if one[nth] and (not other[mth] or tonumber(one[nth + 1]) <= tonumber(other[mth + 1])) then
    last = cjson.encode({'waiting', one[nth + 1], one[nth]})
    table.insert(ids, one[nth])
    nth = nth + 2
  else
    last = cjson.encode({'aside', other[mth + 1], other[mth]})
    table.insert(ids, other[mth])
    mth = mth + 2
  end
end
return '[' .. cjson.encode(last) .. ',' .. read(ids) .. ']'
