-- Returns the oldest entries of those waiting and of those set aside.
local last = ARGV[1] - 1
return {read(redis.call('ZRANGE', waiting, 0, last)), read(redis.call('ZRANGE', aside, 0, last))}
