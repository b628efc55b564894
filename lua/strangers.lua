#!lua flags=no-writes
-- Finds what another program keeps under our names, and changes nothing. It sees the type, not the words: a text that is
-- not ours is found by whoever reads it.
--
-- KEYS  1          the members, as in heartbeat.lua: a sorted set
--       2          their statuses: a hash
--       3, 4, ...  what is text: the fleet, leases, caps. All in one slot by one hash tag.
-- ARGV             none
-- Returns the keys that are of another type.

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
