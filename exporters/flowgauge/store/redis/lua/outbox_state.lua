-- Returns how many entries wait, how many are set aside, and when the oldest of those waiting came.
mend()
local oldest = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
for _ = 1, SOME do
  if oldest[1] and not is_whole(oldest[1]) then
    oldest = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
  end
end
return cjson.encode({redis.call('ZCARD', waiting), redis.call('ZCARD', aside), oldest[2] or cjson.null})
