count(ARGV[1])
