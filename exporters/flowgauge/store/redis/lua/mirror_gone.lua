-- Empties the window if its mirror had been written; returns whether.
local window, grants = keys_of(ARGV[1])
if redis.call('HDEL', window, 'mirrored') == 0 then
  return 0
end
redis.call('DEL', grants)
return 1
