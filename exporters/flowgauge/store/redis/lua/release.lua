local id, owner, reason, counts = unpack(ARGV)
if redis.call('ZSCORE', waiting, id) and redis.call('HGET', hash_of(id), 'owner') == owner then
  out_of_line(id)
  to_the_end_of_the_line(id)
  redis.call('HDEL', hash_of(id), 'owner')
  attempted(id, reason)
  count(counts)
end
