-- Gives the window a size that goes before every caller's own; sizes of 0 take it away.
local key, max_calls, length = ARGV[1], ARGV[2], ARGV[3]
local window = keys_of(key)
if max_calls == '0' then
  redis.call('HDEL', window, 'set_calls', 'set_window_us')
else
  redis.call('SADD', windows, key)
  redis.call('HSET', window, 'max_calls', max_calls, 'window_us', length,
    'set_calls', max_calls, 'set_window_us', length)
end
