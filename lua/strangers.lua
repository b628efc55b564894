#!lua flags=no-writes
-- Finds keys of another program that have our names, and changes nothing. The script compares only the types. The
-- readers of a text detect foreign content themselves.
--
-- KEYS  1          the members, as in heartbeat.lua: a sorted set
--       2          their statuses: a hash
--       3, 4, ...  the text keys: the fleet, leases, caps. All keys lie in one slot, by one hash tag.
-- ARGV             none
-- Returns the keys that have another type.

local found = {}
local function look(key, ...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err and string.find(answer.err, 'WRONGTYPE', 1, true) then
    found[#found + 1] = key
  end
end

look(KEYS[1], 'ZSCORE', KEYS[1], '')
look(KEYS[2], 'HGET', KEYS[2], '')
for n = 3, #KEYS do
  look(KEYS[n], 'GET', KEYS[n])
end
return found
