-- Returns how many entries wait, how many are set aside, and when the oldest of those waiting came.
local oldest = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
return cjson.encode({redis.call('ZCARD', waiting), redis.call('ZCARD', aside), oldest[2] or cjson.null})
