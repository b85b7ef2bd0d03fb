local pair, rows, null_ratio, reason, altered, dag_id, bucket, duration_us = unpack(ARGV)
count_call(pair, altered, dag_id, bucket, duration_us)
if reason == '' then
  count_arrival(pair, rows, null_ratio)
else
  count_failure(pair, reason)
end
