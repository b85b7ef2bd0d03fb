local id, counts = unpack(ARGV)
if remove(id) then
  count(counts)
end
