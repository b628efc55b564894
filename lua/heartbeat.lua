#!lua
-- One heartbeat of a worker: it stays a member for ttl milliseconds from now, with its status; each lease that it still
-- holds is extended to the same end; members whose time is over are dropped. A lease that ran out is not taken again: the
-- worker may have been away for long, and must read the shard's epoch before it asks anew.
--
-- KEYS  1          the members: a sorted set of runs, each with the end of its time, milliseconds since the epoch by this
--                  server's TIME
--       2          their statuses: a hash by run
--       3, 4, ...  the worker's leases. All in one slot by one hash tag.
-- ARGV  1          the worker's run, unlike any other's
--       2          ttl, milliseconds, at least 1
--       3          its status, any bytes
-- Returns three things: 1 when the worker was a member before, else 0; for each lease, in order, 1 when it was still held,
--       0 when it was free or another's; and all members, each as its run, the end of its time, and its status.
-- Both keys of the members end with the last of them.

local members, statuses, first_lease = KEYS[1], KEYS[2], 3
local run, ttl_ms, status = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local held = {}
for n = first_lease, #KEYS do
  local key = KEYS[n]
  if redis.call('GET', key) == run then
    redis.call('PEXPIRE', key, ttl_ms)
    held[#held + 1] = 1
  else
    held[#held + 1] = 0
  end
end

for _, dead in ipairs(redis.call('ZRANGE', members, '-inf', now_ms, 'BYSCORE')) do
  redis.call('ZREM', members, dead)
  redis.call('HDEL', statuses, dead)
end
local known = redis.call('ZSCORE', members, run) and 1 or 0
redis.call('ZADD', members, string.format('%.0f', now_ms + ttl_ms), run)
redis.call('HSET', statuses, run, status)

-- By their end, so the last one's is the latest.
local living = redis.call('ZRANGE', members, 0, -1, 'WITHSCORES')
local left_ms = tonumber(living[#living]) - now_ms
redis.call('PEXPIRE', members, string.format('%.0f', left_ms))
redis.call('PEXPIRE', statuses, string.format('%.0f', left_ms))

local answers = {}
for n = 1, #living, 2 do
  answers[#answers + 1] = living[n]
  answers[#answers + 1] = living[n + 1]
  answers[#answers + 1] = redis.call('HGET', statuses, living[n]) or ''
end
return { known, held, answers }
