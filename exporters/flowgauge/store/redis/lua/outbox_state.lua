-- Returns how many entries wait, how many are set aside, and the oldest of those that wait.
return {
  redis.call('ZCARD', waiting),
  redis.call('ZCARD', aside),
  redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES'),
}
