-- Puts entries that were set aside back into line, all of them if no id is given; returns their ids.
local ids = cjson.decode(ARGV[1])
if #ids == 0 then
  ids = redis.call('ZRANGE', aside, 0, -1)
end
local put_back = {}
for _, id in ipairs(ids) do
  local created = redis.call('ZSCORE', aside, id)
  if created and is_whole(id) and not redis.call('HGET', hash_of(id), 'lost') then
    redis.call('ZREM', aside, id)
    redis.call('ZADD', waiting, created, id)
    redis.call('HDEL', hash_of(id), 'poison', 'owner')
    to_the_end_of_the_line(id)
    table.insert(put_back, id)
  end
end
return list_json(put_back)
