#!lua
-- One heartbeat of a worker: it stays a member for ttl milliseconds from now, with its status; its seat is extended to the
-- same end; each lease on a shard that is due is extended further, if the worker was a member until now and still holds
-- it; members whose time is over are dropped. A lease that ran out is not taken again: the worker may have been away for
-- long, and must read the shard's epoch before it asks anew. Nor is that of a worker whose own time was over: since then
-- claim.lua gives it to anybody. While members of one fleet live, nobody of another becomes one: two fleets would take
-- each other's leases.
--
-- KEYS  1          the members: a sorted set of runs, each with the end of its time, milliseconds since the epoch by this
--                  server's TIME
--       2          their statuses: a hash by run
--       3          the identity of the fleet whose members they are
--       4          the worker's seat: a lease that ends with its membership
--       5, 6, ...  those of its leases on shards that are due. All in one slot by one hash tag.
-- ARGV  1          the worker's run, unlike any other's
--       2          ttl, milliseconds, at least 1
--       3          how long a lease on a shard is extended from now, milliseconds, at least ttl
--       4          its status, any bytes
--       5          the identity of its fleet; "" when it has none, then it goes with any
-- Returns four things: 1 when the worker was a member until now, else 0; 1 when it still held its seat, else 0; the places
--       of those due leases, from 1 on, that it may not act on any more: all when it was no member, else the free ones and
--       another's; and all members, each as its run, the end of its time, and its status.
-- The keys of the members end with the last of them.
-- Fails with OTHERFLEET, having changed nothing but dropped whose time is over, while members of another fleet live.

-- So many leases are looked at together: a call takes some thousand arguments at most.
local at_once = 1000

local members, statuses, fleet, seat, first_lease = KEYS[1], KEYS[2], KEYS[3], KEYS[4], 5
local run, ttl_ms, lease_ms, status, identity = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
-- As text, once: a number that is handed to a command is written out in full each time.
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

-- By their end, so the last one's is the latest.
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
