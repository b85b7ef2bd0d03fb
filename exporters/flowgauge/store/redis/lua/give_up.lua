local key, ticket, waited = unpack(ARGV)
leave(key, ticket)
redis.call('HINCRBY', (keys_of(key)), 'wait_us', waited)
