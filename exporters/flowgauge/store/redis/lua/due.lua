-- Returns 1 if an entry could be claimed now, else 0. One whose place in line was evicted, or whose
-- lease ends too late because the clock was set back, is mended once somebody tries.
local now = now_us()
local free = redis.call('ZCARD', line) + redis.call('ZCOUNT', leased, '-inf', now)
local torn = redis.call('ZCARD', waiting) - redis.call('ZCARD', line) - redis.call('ZCARD', leased)
local last = redis.call('ZRANGE', leased, -1, -1, 'WITHSCORES')
local late = last[1] and is_whole(last[1]) and last[2] - now > (number_of(last[1], 'lease_us') or 60e6)
return (free > 0 or torn > 0 or late) and 1 or 0
