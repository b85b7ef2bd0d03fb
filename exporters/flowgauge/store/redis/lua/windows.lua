-- Returns of each rate limit: key, calls in the window, callers waiting, fields of its hash.
local now = now_us()
local states = {}
for _, key in ipairs(redis.call('SMEMBERS', windows)) do
  local window, grants, _, leases = keys_of(key)
  local length = redis.call('HGET', window, 'window_us')
  local calls = redis.call('ZCOUNT', grants, beyond(now - length), '+inf')
  local waiting = redis.call('ZCOUNT', leases, now, '+inf')
  table.insert(states, {key, calls, waiting, redis.call('HGETALL', window)})
end
return states
