-- A rate limit: a hash with its size, and the one that an operator set, which goes before that of the
-- code, its grants by time, the callers in its queue by their place,
-- and until when each of them is waited for.
local windows = prefix .. 'windows'

local function keys_of(key)
  return prefix .. 'window:' .. key, prefix .. 'grants:' .. key,
    prefix .. 'queue:' .. key, prefix .. 'leases:' .. key
end

local function leave(key, ticket)
  local _, _, queue, leases = keys_of(key)
  redis.call('ZREM', queue, ticket)
  redis.call('ZREM', leases, ticket)
end
