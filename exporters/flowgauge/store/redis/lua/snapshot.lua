-- Returns {pair, fields}…, {dag, fields}…, entries waiting, entries set aside, {oldest id, its time}.
local function hashes(set, name)
  local found = {}
  for _, member in ipairs(redis.call('SMEMBERS', prefix .. set)) do
    table.insert(found, {member, redis.call('HGETALL', prefix .. name .. member)})
  end
  return found
end

return {
  hashes('pairs', 'pair:'),
  hashes('dags', 'durations:'),
  redis.call('ZCARD', waiting),
  redis.call('ZCARD', aside),
  redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES'),
}
