#!lua flags=allow-oom
-- Gives back each lease that the owner still holds. One that another took meanwhile is left alone.
-- Also where memory is short: it only takes away.
--
-- KEYS     the leases, all in one slot by one hash tag
-- ARGV  1  the owner's token
-- Returns for each key, in order: 1 when it was given back, 0 when it was free or another's.

local owner = ARGV[1]
local released = {}
for n, key in ipairs(KEYS) do
  if redis.call('GET', key) == owner then
    redis.call('DEL', key)
    released[n] = 1
  else
    released[n] = 0
  end
end
return released
