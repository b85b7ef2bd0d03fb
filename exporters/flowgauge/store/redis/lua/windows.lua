-- Returns of rate limits beyond a cursor: key, its size, calls in the window, callers waiting, whether
-- the size was set. And before them the next cursor, empty if these are the last; one may come twice.
local cursor, limit = ARGV[1] or '', ARGV[2] or 1
local now = now_us()
local states = {}
local found = redis.call('SSCAN', windows, cursor == '' and 0 or cursor, 'COUNT', limit)
for _, key in ipairs(found[2]) do
  local window, grants, _, leases = keys_of(key)
  local size = redis.call('HMGET', window, 'max_calls', 'window_us', 'set_calls')
  local length = number(size[2])
  -- Not where Redis evicted it: the next call makes it anew. Nor where somebody wrote no number.
  if size[1] and length then
    local calls = redis.call('ZCOUNT', grants, beyond(now - length), '+inf')
    local waiting = redis.call('ZCOUNT', leases, now, '+inf')
    table.insert(states, {key, size[1], size[2], calls, waiting, size[3] ~= false})
  end
end
return '["' .. (found[1] == '0' and '' or found[1]) .. '",' .. list_json(states) .. ']'
