local id, pair, rows, null_ratio = unpack(ARGV)
if redis.call('DEL', hash_of(id)) == 1 then
  out_of_line(id)
  redis.call('ZREM', waiting, id)
  redis.call('ZREM', aside, id)
  count_arrival(pair, rows, null_ratio)
end
