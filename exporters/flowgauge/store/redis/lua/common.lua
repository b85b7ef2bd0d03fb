-- Every key starts with the prefix, whose hash tag keeps them together in a Redis Cluster.
local prefix = KEYS[1]

-- Redis' own clock in whole microseconds, which a double holds exactly until the year 2255.
local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Bounds of score ranges that leave the time itself out.
local function beyond(us)
  return '(' .. string.format('%.0f', us)
end
