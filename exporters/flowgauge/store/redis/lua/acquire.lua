-- Takes a slot or a place in the queue; returns the microseconds to wait, 0 if granted.
local key, ticket = ARGV[1], ARGV[2]
local recheck, grace = tonumber(ARGV[5]), tonumber(ARGV[6])
local if_granted, if_refused = ARGV[7], ARGV[8]
local window, grants, queue, leases = keys_of(key)
local now = now_us()

local known = redis.call('HMGET', window, 'max_calls', 'window_us', 'set_calls', 'set_window_us')
redis.call('SADD', windows, key)
local size = {known[3] or ARGV[3], known[4] or ARGV[4]}
local max_calls, length = tonumber(size[1]), tonumber(size[2])
if known[1] ~= size[1] or known[2] ~= size[2] then
  redis.call('HSET', window, 'max_calls', size[1], 'window_us', size[2])
end

-- A caller whose answer got lost asks again: the grant that it has is made anew, now, and counts once.
-- Version 0.1 names its grants by plain numbers.
local name = 't' .. ticket
if tonumber(redis.call('ZSCORE', grants, name) or 0) > now - length then
  redis.call('ZADD', grants, now, name)
  return 0
end

-- Forget what is older than the window, and the callers that did not come back: but only where they
-- could be in the way.
local granted, waiting = redis.call('ZCARD', grants), redis.call('ZCARD', queue)
if granted >= max_calls or waiting > 0 then
  granted = granted - redis.call('ZREMRANGEBYSCORE', grants, '-inf', now - length)
  for _, late in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', beyond(now))) do
    leave(key, late)
    waiting = waiting - 1
  end
  -- The clock may have been set back: nobody is waited for longer than ever.
  local longest = now + recheck + grace
  for _, early in ipairs(redis.call('ZRANGEBYSCORE', leases, beyond(longest), '+inf')) do
    redis.call('ZADD', leases, longest, early)
  end
end

-- The window has max_calls slots; a granted one opens again one window after its grant. The callers
-- in the queue take the slots in turn, all of them once before any a second time.
local in_queue = waiting > 0 and redis.call('ZRANK', queue, ticket)
local ahead = in_queue or waiting
local free = max_calls - granted
local turn, slot = math.floor(ahead / max_calls), ahead % max_calls
local opens = now
if slot >= free then
  local nth = slot - free
  local granted_at = tonumber(redis.call('ZRANGE', grants, nth, nth, 'WITHSCORES')[2])
  if granted_at > now then
    -- The clock was set back. Taking such grants as made now errs on the safe side, and for at most
    -- one window.
    for _, early in ipairs(redis.call('ZRANGEBYSCORE', grants, beyond(now), '+inf')) do
      redis.call('ZADD', grants, now, early)
    end
    granted_at = now
  end
  opens = granted_at + length
end
local wait = opens + turn * length - now

if wait == 0 then
  redis.call('ZADD', grants, now, name)
  if in_queue then
    leave(key, ticket)
  end
  count(if_granted)
else
  if not in_queue then
    redis.call('ZADD', queue, redis.call('HINCRBY', window, 'places', 1), ticket)
    count(if_refused)
  end
  redis.call('ZADD', leases, now + math.min(wait, recheck) + grace, ticket)
end
return wait
