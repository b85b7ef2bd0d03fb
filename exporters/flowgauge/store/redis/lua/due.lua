-- Returns 1 if an entry could be claimed now, else 0.
return (redis.call('ZCARD', line) > 0 or redis.call('ZCOUNT', leased, '-inf', now_us()) > 0) and 1 or 0
