local key, calls = unpack(ARGV)
redis.call('HINCRBY', (keys_of(key)), 'fail_open', calls)
