#!lua flags=allow-oom
-- Releases each lease that the owner still holds. A lease that another owner has taken stays unchanged.
-- Runs also when Redis is out of memory, because it only deletes.
--
-- KEYS     the leases, all in one slot by one hash tag
-- ARGV  1  the owner's token
-- Returns for each key, in order: 1 if the lease was released, 0 if it was free or another owner's.

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
