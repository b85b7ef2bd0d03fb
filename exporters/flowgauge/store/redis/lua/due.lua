-- Returns 1 if an entry could be claimed now, else 0. One whose place in line was evicted is claimed,
-- or set aside, once somebody tries.
local free = redis.call('ZCARD', line) + redis.call('ZCOUNT', leased, '-inf', now_us())
local torn = redis.call('ZCARD', waiting) - redis.call('ZCARD', line) - redis.call('ZCARD', leased)
return (free > 0 or torn > 0) and 1 or 0
