-- Moves what 0.1 counted for pairs, DAGs or rate limits, each unless it counted more since it was read.
local function forget(kind, name)
  if kind == 'window' then
    for _, counter in ipairs(COUNTERS) do
      local value = redis.call('HGET', prefix .. 'window:' .. name, counter)
      if value then
        redis.call('HSET', prefix .. 'window:' .. name, counter .. '_taken', value)
      end
    end
    return
  end
  redis.call('DEL', prefix .. kind .. ':' .. name)
  if kind == 'pair' then
    redis.call('ZREM', pairs_of_0_1, name)
  else
    redis.call('SREM', dags_of_0_1, name)
  end
end

for _, each in ipairs(cjson.decode(ARGV[1])) do
  local kind, name, counted, counts, dag = unpack(each)
  if old_counts(kind, name) == counted then
    forget(kind, name)
    count(counts)
    if kind == 'pair' then
      -- A DAG was shown if one of its pairs was: it gets the place of its first.
      place('dag_id', dag, redis.call('ZSCORE', owners_of('dag_id,task_id'), name))
      redis.call('ZADD', seen_of('dag_id'), now_us(), dag)
    end
  end
end
