local key, ticket, counts = unpack(ARGV)
leave(key, ticket)
count(counts)
