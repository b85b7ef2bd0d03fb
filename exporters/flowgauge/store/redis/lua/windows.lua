-- Returns of each rate limit: key, its size, calls in the window, callers waiting.
local now = now_us()
local states = {}
for _, key in ipairs(redis.call('SMEMBERS', windows)) do
  local window, grants, _, leases = keys_of(key)
  local size = redis.call('HMGET', window, 'max_calls', 'window_us')
  -- Not where Redis evicted it: the next call makes it anew.
  if size[1] and size[2] then
    local calls = redis.call('ZCOUNT', grants, beyond(now - size[2]), '+inf')
    local waiting = redis.call('ZCOUNT', leases, now, '+inf')
    table.insert(states, {key, size[1], size[2], calls, waiting})
  end
end
return list_json(states)
