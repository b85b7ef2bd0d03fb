local id, pair, rows, null_ratio = unpack(ARGV)
if remove(id) then
  count_arrival(pair, rows, null_ratio)
end
