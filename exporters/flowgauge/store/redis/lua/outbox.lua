-- The outbox: a hash for each entry; the ids of those free to be claimed by their place in line, of
-- those claimed by the end of their lease, and, by the time they came, of all that wait to be sent
-- and of those set aside.
local line, leased = prefix .. 'outbox:line', prefix .. 'outbox:leased'
local waiting, aside = prefix .. 'outbox:waiting', prefix .. 'outbox:aside'

local function hash_of(id)
  return prefix .. 'entry:' .. id
end

local function to_the_end_of_the_line(id)
  local place = redis.call('INCR', prefix .. 'outbox:places')
  if place == 1 then
    -- Not only a new outbox has given no place yet, also one whose number was evicted.
    place = (redis.call('ZRANGE', line, -1, -1, 'WITHSCORES')[2] or 0) + 1
    redis.call('SET', prefix .. 'outbox:places', place)
  end
  redis.call('HSET', hash_of(id), 'place', place)
  redis.call('ZADD', line, place, id)
end

local function out_of_line(id)
  redis.call('ZREM', line, id)
  redis.call('ZREM', leased, id)
end

local function lease(id, owner, now, lease_us)
  redis.call('ZREM', line, id)
  redis.call('ZADD', leased, now + lease_us, id)
  redis.call('HSET', hash_of(id), 'owner', owner, 'lease_us', lease_us)
end

local function number_of(id, field)
  return number(redis.call('HGET', hash_of(id), field))
end

-- Notes an attempt that failed.
local function attempted(id, reason)
  redis.call('HDEL', hash_of(id), 'lapsed')
  redis.call('HSET', hash_of(id), 'reason', reason, 'attempts', (number_of(id, 'attempts') or 0) + 1)
end

-- Returns whether there was one, be it in part.
local function remove(id)
  out_of_line(id)
  local listed = redis.call('ZREM', waiting, id) + redis.call('ZREM', aside, id)
  return redis.call('DEL', hash_of(id)) + listed > 0
end

-- Returns whether all of an entry is there that somebody put in. A Redis that evicts keys takes
-- single ones: what is left of such an entry is set aside, for an operator to see and to drop.
local function is_whole(id)
  local hash = hash_of(id)
  local has_pair = redis.pcall('HEXISTS', hash, 'pair')
  if type(has_pair) == 'table' then
    -- What somebody else put in its place is no entry.
    redis.call('DEL', hash)
  elseif has_pair + redis.call('HEXISTS', hash, 'body') == 2 then
    return true
  end
  local created = redis.call('ZSCORE', waiting, id) or redis.call('ZSCORE', aside, id) or now_us()
  out_of_line(id)
  redis.call('ZREM', waiting, id)
  redis.call('ZADD', aside, created, id)
  redis.call('HSET', hash, 'pair', '["",""]', 'body', '', 'created_us', created, 'lost', 1,
    'poison', 'Redis evicted this payload, it is lost: see its maxmemory-policy, and drop the entry')
  return false
end

-- Finds entries again whose place in line, or whose time, was evicted: some of the oldest.
local function mend()
  local placed = redis.call('ZCARD', line) + redis.call('ZCARD', leased)
  local known = redis.call('ZCARD', waiting)
  if placed < known then
    for _, id in ipairs(redis.call('ZRANGE', waiting, 0, SOME - 1)) do
      if not redis.call('ZSCORE', line, id) and not redis.call('ZSCORE', leased, id)
        and is_whole(id) then
        to_the_end_of_the_line(id)
      end
    end
  elseif placed > known then
    for _, ids in ipairs({line, leased}) do
      for _, id in ipairs(redis.call('ZRANGE', ids, 0, SOME - 1)) do
        if is_whole(id) then
          redis.call('ZADD', waiting, number_of(id, 'created_us') or now_us(), id)
        end
      end
    end
  end
end

-- Returns the entries of these ids.
local function read(ids)
  local entries = {}
  for _, id in ipairs(ids) do
    is_whole(id)
    local hash = hash_at(hash_of(id))
    local is_json, pair = pcall(cjson.decode, hash.pair)
    if not is_json or type(pair) ~= 'table' then
      pair = {}
    end
    table.insert(entries, {
      entry_id = id, dag_id = pair[1], task_id = pair[2], body = hash.body, reason = hash.reason,
      created_us = hash.created_us, attempts = hash.attempts, poison = hash.poison,
    })
  end
  return list_json(entries)
end
