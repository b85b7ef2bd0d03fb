-- Returns the ids of the entries that were there.
local dropped = {}
for _, id in ipairs(cjson.decode(ARGV[1])) do
  if remove(id) then
    table.insert(dropped, id)
  end
end
return list_json(dropped)
