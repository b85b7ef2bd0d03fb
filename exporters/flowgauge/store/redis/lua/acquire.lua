-- Takes a slot or a place in the queue; returns the microseconds to wait, 0 if granted.
local key, ticket = ARGV[1], ARGV[2]
local max_calls, length, waited = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local recheck, grace = tonumber(ARGV[6]), tonumber(ARGV[7])
local window, grants, queue, leases = keys_of(key)
local now = now_us()

redis.call('SADD', windows, key)
redis.call('HSET', window, 'max_calls', max_calls, 'window_us', length)

-- Forget what is older than the window, and the callers that did not come back.
redis.call('ZREMRANGEBYSCORE', grants, '-inf', now - length)
for _, late in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', before(now))) do
  leave(key, late)
end
-- A grant of the future means that the clock was set back. Taking it as made now errs on the safe
-- side, and for at most one window.
for _, early in ipairs(redis.call('ZRANGEBYSCORE', grants, after(now), '+inf')) do
  redis.call('ZADD', grants, now, early)
end

-- The window has max_calls slots; a granted one opens again one window after its grant. The callers
-- in the queue take the slots in turn, all of them once before any a second time.
local free = max_calls - redis.call('ZCARD', grants)
local ahead = redis.call('ZRANK', queue, ticket) or redis.call('ZCARD', queue)
local turn, slot = math.floor(ahead / max_calls), ahead % max_calls
local opens = now
if slot >= free then
  local nth = slot - free
  opens = redis.call('ZRANGE', grants, nth, nth, 'WITHSCORES')[2] + length
end
local wait = opens + turn * length - now

if wait == 0 then
  leave(key, ticket)
  redis.call('ZADD', grants, now, ticket)
  redis.call('HINCRBY', window, 'calls', 1)
  redis.call('HINCRBY', window, 'wait_us', waited)
else
  if not redis.call('ZSCORE', queue, ticket) then
    redis.call('ZADD', queue, redis.call('HINCRBY', window, 'places', 1), ticket)
  end
  redis.call('ZADD', leases, now + math.min(wait, recheck) + grace, ticket)
  if waited == 0 then
    redis.call('HINCRBY', window, 'hits', 1)
  end
end
return wait
