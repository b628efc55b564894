#!lua
-- Extends each lease that the owner still holds to ttl milliseconds from now. An expired lease is not taken again: the
-- owner may have been away for long and must read the shard's epoch before it asks again.
--
-- KEYS     the leases, all in one slot by one hash tag
-- ARGV  1  the owner's token
--       2  ttl, milliseconds, at least 1
-- Returns for each key, in order: 1 if the owner still held the lease, 0 if it was free or another owner's.

local owner, ttl_ms = ARGV[1], ARGV[2]
local held = {}
for n, key in ipairs(KEYS) do
  if redis.call('GET', key) == owner then
    redis.call('PEXPIRE', key, ttl_ms)
    held[n] = 1
  else
    held[n] = 0
  end
end
return held
