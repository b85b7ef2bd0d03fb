local id, dag_id, task_id, body, reason, owner, lease_us, lapsed, counts = unpack(ARGV)
if redis.call('HEXISTS', hash_of(id), 'lost') == 1 then
  remove(id)
elseif redis.call('EXISTS', hash_of(id)) == 1 then
  return
end
local now = now_us()
local pair = cjson.encode({dag_id, task_id})
redis.call('HSET', hash_of(id), 'pair', pair, 'body', body, 'created_us', now, 'reason', reason)
redis.call('ZADD', waiting, now, id)
to_the_end_of_the_line(id)
if owner ~= '' then
  lease(id, owner, now, lease_us)
  redis.call('HSET', hash_of(id), 'lapsed', lapsed)
end
count(counts)
