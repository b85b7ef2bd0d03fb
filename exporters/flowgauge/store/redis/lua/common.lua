-- Every key starts with the prefix, whose hash tag keeps them together in a Redis Cluster.
local prefix = KEYS[1]

-- What a script looks after at a time beside what it was asked for, so that others wait for it for
-- no longer than a millisecond or two.
local SOME = 200

-- A store that version 0.1 made keeps its version, so that 0.1 may go on using it.
local version = redis.call('GET', prefix .. 'version')
if not version then
  redis.call('SET', prefix .. 'version', SCHEMA_VERSION)
elseif version ~= '1' and version ~= SCHEMA_VERSION then
  return redis.error_reply('FLOWGAUGE ' .. version)
end

-- Redis' own clock in whole microseconds, which a double holds exactly until the year 2255.
local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Returns what a field holds as a number; nil where there is none, or somebody wrote what is none.
local function number(text)
  local found = tonumber(text or '')
  return found == found and found or nil
end

-- Returns the hash at a key; as JSON, an empty one is an object too.
local function hash_at(key)
  local reply, fields = redis.call('HGETALL', key), {}
  for nth = 1, #reply, 2 do
    fields[reply[nth]] = reply[nth + 1]
  end
  return fields
end

-- Returns a list as JSON: Lua does not tell an empty one from an empty object.
local function list_json(list)
  return #list > 0 and cjson.encode(list) or '[]'
end

-- Bounds of score ranges that leave the time itself out.
local function beyond(us)
  return '(' .. string.format('%.0f', us)
end
