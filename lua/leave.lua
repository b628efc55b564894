#!lua flags=allow-oom
-- Ends the membership of one worker. lease_release.lua releases its leases.
-- Runs also when Redis is out of memory, because it only deletes.
--
-- KEYS  1   the members, as in heartbeat.lua
--       2   their statuses. Both keys lie in one slot, by one hash tag.
-- ARGV  1   the worker's run
-- Returns 1 if the worker was a member, else 0.

local members, statuses, run = KEYS[1], KEYS[2], ARGV[1]
redis.call('HDEL', statuses, run)
return redis.call('ZREM', members, run)
