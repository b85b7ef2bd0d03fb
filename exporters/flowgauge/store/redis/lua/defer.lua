local id, body, pair, reason, altered, dag_id, bucket, duration_us = unpack(ARGV)
if redis.call('EXISTS', hash_of(id)) == 1 then
  return
end
local now = now_us()
redis.call('HSET', hash_of(id), 'pair', pair, 'body', body, 'created_us', now)
redis.call('ZADD', waiting, now, id)
to_the_end_of_the_line(id)
count_call(pair, altered, dag_id, bucket, duration_us)
count_deferral(pair)
if reason ~= '' then
  count_failure(pair, reason)
end
