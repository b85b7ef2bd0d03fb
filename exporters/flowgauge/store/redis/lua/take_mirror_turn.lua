-- Returns whether nobody else took the turn within the interval.
local key, interval = ARGV[1], tonumber(ARGV[2])
local window = keys_of(key)
local now = now_us()
local since = now - (redis.call('HGET', window, 'mirror_turn_us') or 0)
if since >= 0 and since < interval then
  return 0
end
redis.call('HSET', window, 'mirror_turn_us', now)
return 1
