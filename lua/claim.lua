#!lua
-- Takes each free lease on a shard, and each lease of this worker or of a dead one, for ttl milliseconds from now. A
-- shard lease binds other workers only while its owner is a member. heartbeat.lua extends shard leases beyond the end
-- of the membership.
--
-- KEYS  1          the members, as in heartbeat.lua
--       2, 3, ...  the leases on shards. All keys lie in one slot, by one hash tag.
-- ARGV  1          the worker's run
--       2          ttl, milliseconds, at least 1
-- Returns for each lease, in order: 1 if the worker holds it now, 0 if another living worker does.

local members, first_lease = KEYS[1], 2
local run, ttl_ms = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local living = {}
local function lives(holder)
  if living[holder] == nil then
    local end_ms = redis.call('ZSCORE', members, holder)
    living[holder] = end_ms and tonumber(end_ms) > now_ms
  end
  return living[holder]
end

local held = {}
for key = first_lease, #KEYS do
  local holder = redis.call('GET', KEYS[key])
  if holder and holder ~= run and lives(holder) then
    held[#held + 1] = 0
  else
    redis.call('SET', KEYS[key], run, 'PX', ttl_ms)
    held[#held + 1] = 1
  end
end
return held
