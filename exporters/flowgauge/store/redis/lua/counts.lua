-- Counts: for each kind of owner the owners by their place and by when they last counted, and for
-- each owner a hash of values.
local function owners_of(kind)
  return prefix .. 'owners:' .. kind
end

local function counts_of(kind, owner)
  return prefix .. 'counts:' .. kind .. ':' .. owner
end

local function seen_of(kind)
  return prefix .. 'seen:' .. kind
end

-- The places of owners that are gone.
local function free_of(kind)
  return prefix .. 'free:' .. kind
end

-- Gives a new owner the place of one that is gone, else the one behind all others of its kind, or
-- the one asked for if nobody has it.
local function place(kind, owner, wanted)
  local owners = owners_of(kind)
  if redis.call('ZSCORE', owners, owner) then
    return
  end
  local free = redis.call('ZPOPMIN', free_of(kind))[2]
  if free then
    redis.call('ZADD', owners, free, owner)
    return
  end
  local last = redis.call('ZRANGE', owners, -1, -1, 'WITHSCORES')[2] or -1
  if not wanted or redis.call('ZCOUNT', owners, wanted, wanted) > 0 then
    wanted = last + 1
  end
  redis.call('ZADD', owners, wanted, owner)
end

-- Counts what `changes_json` says.
local function count(changes)
  for _, change in ipairs(cjson.decode(changes)) do
    local kind, owner, rows = unpack(change)
    place(kind, owner)
    redis.call('ZADD', seen_of(kind), now_us(), owner)
    local hash = counts_of(kind, owner)
    for _, row in ipairs(rows) do
      local field, how, value = unpack(row)
      if how == 'add' then
        redis.call('HINCRBYFLOAT', hash, field, value)
      elseif how == 'now' then
        redis.call('HSET', hash, field, string.format('%.6f', now_us() / 1e6))
      else
        redis.call('HSET', hash, field, value)
      end
    end
  end
end
