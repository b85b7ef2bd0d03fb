-- Returns the ids of the entries that were there.
local dropped = {}
for _, id in ipairs(ARGV) do
  if remove(id) then
    table.insert(dropped, id)
  end
end
return dropped
