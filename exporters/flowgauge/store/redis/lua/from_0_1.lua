-- What version 0.1 counts: a hash for each pair of DAG and task, one for each DAG's durations, and
-- fields in the hash of a rate limit.
local pairs_of_0_1, dags_of_0_1 = prefix .. 'pairs', prefix .. 'dags'
local COUNTERS = {'calls', 'hits', 'wait_us', 'fail_open'}
local COUNTERS_AND_TAKEN = {}
for _, counter in ipairs(COUNTERS) do
  table.insert(COUNTERS_AND_TAKEN, counter)
  table.insert(COUNTERS_AND_TAKEN, counter .. '_taken')
end

-- Returns what 0.1 counted for a pair, DAG or rate limit, as one text.
local function old_counts(kind, name)
  if kind ~= 'window' then
    return cjson.encode(hash_at(prefix .. kind .. ':' .. name))
  end
  -- The counters of a rate limit go on, as 0.1 names grants by them: what was taken is noted.
  local found = redis.call('HMGET', prefix .. 'window:' .. name, unpack(COUNTERS_AND_TAKEN))
  local values = {}
  for nth = 1, #found, 2 do
    table.insert(values, (found[nth] or 0) - (found[nth + 1] or 0))
  end
  return '[' .. table.concat(values, ',') .. ']'
end
