#!lua
-- Takes each lease that is free or already the owner's, for ttl milliseconds from now.
--
-- KEYS     the leases, all in one slot by one hash tag
-- ARGV  1  the owner's token: its run, which is unique
--       2  ttl, milliseconds, at least 1
-- Returns for each key, in order: 1 if the owner holds the lease now, 0 if another owner does.

local owner, ttl_ms = ARGV[1], ARGV[2]
local held = {}
for n, key in ipairs(KEYS) do
  local holder = redis.call('GET', key)
  if not holder or holder == owner then
    redis.call('SET', key, owner, 'PX', ttl_ms)
    held[n] = 1
  else
    held[n] = 0
  end
end
return held
