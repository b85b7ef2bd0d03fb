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

-- Notes an attempt that failed.
local function attempted(id, reason)
  redis.call('HDEL', hash_of(id), 'lapsed')
  redis.call('HSET', hash_of(id), 'reason', reason)
  redis.call('HINCRBY', hash_of(id), 'attempts', 1)
end

-- Returns whether there was one.
local function remove(id)
  out_of_line(id)
  redis.call('ZREM', waiting, id)
  redis.call('ZREM', aside, id)
  return redis.call('DEL', hash_of(id)) == 1
end

-- Returns the entries of these ids.
local function read(ids)
  local entries = {}
  for _, id in ipairs(ids) do
    local hash = hash_at(hash_of(id))
    local pair = cjson.decode(hash.pair)
    table.insert(entries, {
      entry_id = id, dag_id = pair[1], task_id = pair[2], body = hash.body, reason = hash.reason,
      created_us = hash.created_us, attempts = hash.attempts, poison = hash.poison,
    })
  end
  return list_json(entries)
end
