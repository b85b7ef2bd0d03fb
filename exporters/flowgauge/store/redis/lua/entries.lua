-- Returns the oldest entries, of those waiting and of those set aside.
local limit = tonumber(ARGV[1])
local one = redis.call('ZRANGE', waiting, 0, limit - 1, 'WITHSCORES')
local other = redis.call('ZRANGE', aside, 0, limit - 1, 'WITHSCORES')
local ids, nth, mth = {}, 1, 1
while #ids < limit and (one[nth] or other[mth]) do
  if one[nth] and (not other[mth] or tonumber(one[nth + 1]) <= tonumber(other[mth + 1])) then
    table.insert(ids, one[nth])
    nth = nth + 2
  else
    table.insert(ids, other[mth])
    mth = mth + 2
  end
end
return read(ids)
