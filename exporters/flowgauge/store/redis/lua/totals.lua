-- What log calls count: a hash for each pair of DAG and task, in the order in which they came, and
-- one for each DAG's durations.
local pairs, dags = prefix .. 'pairs', prefix .. 'dags'

local function durations_hash(dag_id)
  return prefix .. 'durations:' .. dag_id
end

local function pair_hash(pair)
  if not redis.call('ZSCORE', pairs, pair) then
    redis.call('ZADD', pairs, redis.call('ZCARD', pairs), pair)
  end
  return prefix .. 'pair:' .. pair
end

-- A payload is in MLflow.
local function count_arrival(pair, rows, null_ratio)
  local hash = pair_hash(pair)
  redis.call('HINCRBY', hash, 'logs', 1)
  redis.call('HINCRBY', hash, 'rows', rows)
  redis.call('HSET', hash, 'last_logged_us', now_us())
  if null_ratio ~= '' then
    redis.call('HSET', hash, 'null_ratio', null_ratio)
  end
end

-- An attempt to log one failed.
local function count_failure(pair, reason)
  redis.call('HINCRBY', pair_hash(pair), 'failure:' .. reason, 1)
end

-- A payload went into the outbox.
local function count_deferral(pair)
  redis.call('HINCRBY', pair_hash(pair), 'deferred', 1)
end

-- A log call ended, in whatever way: bucket is the upper bound of the one bucket its time falls into,
-- altered is 1 if its payload had to be changed, else 0.
local function count_call(pair, altered, dag_id, bucket, duration_us)
  redis.call('HINCRBY', pair_hash(pair), 'altered', altered)
  redis.call('SADD', dags, dag_id)
  redis.call('HINCRBY', durations_hash(dag_id), bucket, 1)
  redis.call('HINCRBY', durations_hash(dag_id), 'sum_us', duration_us)
end
