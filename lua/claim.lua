#!lua
-- Takes each lease on a shard that is free, already the worker's, or a dead worker's, for ttl milliseconds from now. A
-- lease on a shard binds others only while its owner is a member, in whose time it is extended by heartbeat.lua beyond
-- the end of that time.
--
-- KEYS  1          the members, as in heartbeat.lua
--       2, 3, ...  the leases on shards. All in one slot by one hash tag.
-- ARGV  1          the worker's run
--       2          ttl, milliseconds, at least 1
-- Returns for each lease, in order: 1 when the worker holds it now, 0 when another does who lives.

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
