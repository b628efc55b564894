#!lua flags=allow-oom
-- Ends the membership of one worker. Its leases are given back by lease_release.lua.
-- Also where memory is short: it only takes away.
--
-- KEYS  1   the members, as in heartbeat.lua
--       2   their statuses. Both in one slot by one hash tag.
-- ARGV  1   the worker's run
-- Returns 1 when it was a member, else 0.

local members, statuses, run = KEYS[1], KEYS[2], ARGV[1]
redis.call('HDEL', statuses, run)
return redis.call('ZREM', members, run)
