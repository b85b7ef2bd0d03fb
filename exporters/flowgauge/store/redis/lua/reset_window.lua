-- Forgets all grants; who waits keeps its place.
local window, grants = keys_of(ARGV[1])
redis.call('DEL', grants)
redis.call('HDEL', window, 'mirrored')
