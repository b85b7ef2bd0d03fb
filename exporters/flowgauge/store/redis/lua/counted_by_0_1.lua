-- Returns where to go on, "0" at the end, and kind, name and text of some of what 0.1 counted, as JSON;
-- for a pair also when it last logged since, which is the field in ARGV[2].
if version ~= '1' then
  return '["0",[]]'  -- It is not a store that 0.1 would use.
end
local limit, last_logged, cursor = unpack(ARGV)
local found = {}
for _, pair in ipairs(redis.call('ZRANGE', pairs_of_0_1, 0, limit - 1)) do
  local known = redis.call('HGET', prefix .. 'counts:dag_id,task_id:' .. pair, last_logged)
  table.insert(found, {'pair', pair, old_counts('pair', pair), known or cjson.null})
end
-- Not before their pairs, with which they get their places.
if #found == 0 then
  for _, dag_id in ipairs(redis.call('SRANDMEMBER', dags_of_0_1, limit)) do
    table.insert(found, {'durations', dag_id, old_counts('durations', dag_id)})
  end
end
if #found == 0 then
  local some = redis.call('SSCAN', windows, cursor, 'COUNT', SOME)
  cursor = some[1]
  for _, key in ipairs(some[2]) do
    local counted = old_counts('window', key)
    if counted ~= '[0,0,0,0]' then
      table.insert(found, {'window', key, counted})
    end
  end
end
return '["' .. cursor .. '",' .. list_json(found) .. ']'
