redis.call('HSET', (keys_of(ARGV[1])), 'mirrored', 1)
