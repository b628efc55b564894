#!lua
-- Records one heartbeat of a worker: its membership, its status and its exclusive lease last ttl milliseconds from now.
-- Each due shard lease is extended further, if the worker was a member until now and still holds the lease. Expired
-- members are removed. An expired lease is not taken again: the worker may have been away for long and must read the
-- shard's epoch before it asks again. The leases of an expired member are not extended either: claim.lua may have given
-- them to another worker. While members of one fleet live, no worker of another fleet becomes a member: two fleets
-- would take each other's leases.
--
-- KEYS  1          the members: a sorted set of runs; the score is the end of the membership, milliseconds since the
--                  epoch by this server's TIME
--       2          the statuses of the members: a hash by run
--       3          the identity of the fleet whose members they are
--       4          the worker's exclusive lease, which ends with its membership
--       5, 6, ...  the worker's due leases on shards. All keys lie in one slot, by one hash tag.
-- ARGV  1          the worker's run, which is unique
--       2          ttl, milliseconds, at least 1
--       3          the extension of a shard lease from now, milliseconds, at least ttl
--       4          the worker's status, any bytes
--       5          the identity of its fleet; "" for a worker without one, which may join any fleet
-- Returns four values: 1 if the worker was a member until now, else 0; 1 if it still held its exclusive lease, else 0;
--       the positions, from 1, of the due leases that it must no longer use (all of them if it was no member, else
--       those that are free or another worker's); and all members, each as its run, the end of its membership, and its
--       status.
-- The keys of the members expire with the last member.
-- Fails with OTHERFLEET while members of another fleet live, having only removed expired members.

-- The number of leases per MGET: one call takes a few thousand arguments at most.
local at_once = 1000

local members, statuses, fleet, seat, first_lease = KEYS[1], KEYS[2], KEYS[3], KEYS[4], 5
local run, ttl_ms, lease_ms, status, identity = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
-- Formatted once as text: Redis formats a number again each time that a command gets it.
local end_ms = string.format('%.0f', now_ms + ttl_ms)
local lease_end_ms = string.format('%.0f', now_ms + lease_ms)

for _, dead in ipairs(redis.call('ZRANGE', members, '-inf', now_ms, 'BYSCORE')) do
  redis.call('ZREM', members, dead)
  redis.call('HDEL', statuses, dead)
end

local theirs = redis.call('GET', fleet)
if identity ~= '' and theirs and theirs ~= identity and #redis.call('ZRANGE', members, 0, 0) > 0 then
  return redis.error_reply('OTHERFLEET workers of another fleet, with another database, live under these keys')
end

local known = redis.call('ZSCORE', members, run)
local seated = redis.call('GET', seat) == run
if seated then
  redis.call('PEXPIREAT', seat, end_ms)
end

local call, lost = redis.call, {}
for first = first_lease, #KEYS, at_once do
  local last = math.min(first + at_once - 1, #KEYS)
  local owners = call('MGET', unpack(KEYS, first, last))
  for key = first, last do
    if known and owners[key - first + 1] == run then
      call('PEXPIREAT', KEYS[key], lease_end_ms)
    else
      lost[#lost + 1] = key - first_lease + 1
    end
  end
end

redis.call('ZADD', members, end_ms, run)
redis.call('HSET', statuses, run, status)

-- Sorted by their end, so the last member has the latest end.
local living = redis.call('ZRANGE', members, 0, -1, 'WITHSCORES')
local left_ms = string.format('%.0f', tonumber(living[#living]) - now_ms)
redis.call('PEXPIRE', members, left_ms)
redis.call('PEXPIRE', statuses, left_ms)
if identity ~= '' then
  redis.call('SET', fleet, identity, 'PX', left_ms)
end

local answers = {}
for n = 1, #living, 2 do
  answers[#answers + 1] = living[n]
  answers[#answers + 1] = living[n + 1]
  answers[#answers + 1] = redis.call('HGET', statuses, living[n]) or ''
end
return { known and 1 or 0, seated and 1 or 0, lost, answers }
