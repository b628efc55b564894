#!lua
-- Merges one worker's mark, the progress of the database that it has seen, with the fleet's mark in Redis. The database
-- can't store the mark itself: a database that is set back loses its own marks. If Redis loses the mark, the fleet only
-- detects fewer set-backs.
--
-- KEYS  1   the mark: a hash. It expires if no worker merges for ttl.
-- ARGV  1   the identity of the database, which a copy of the database has too
--       2   the fence, 3 the highest flight id, 4 the number of shards, 5 the sum of their epochs: integers below 2^53
--       6   a settled mail, any bytes; "" for none
--       7   ttl, milliseconds
-- Returns the merged mark: fence, flight, shards and epochs as text, and the settled mail. The worker's mark replaces
-- the mark of another database and a mark from before a fence.

local key, identity, ttl_ms = KEYS[1], ARGV[1], ARGV[7]
local mine = { fence = ARGV[2], flight = ARGV[3], shards = ARGV[4], epochs = ARGV[5], settled = ARGV[6] }
local kept = {}
for _, field in ipairs({ 'identity', 'fence', 'flight', 'shards', 'epochs', 'settled' }) do
  kept[field] = redis.call('HGET', key, field)
end

local merged = mine
if kept.identity == identity then
  local kept_fence, fence = tonumber(kept.fence), tonumber(mine.fence)
  if kept_fence > fence then
    merged = kept
  elseif kept_fence == fence then
    if tonumber(kept.flight) > tonumber(mine.flight) then
      merged.flight = kept.flight
    end
    if mine.shards == '0' or (kept.shards == mine.shards and tonumber(kept.epochs) > tonumber(mine.epochs)) then
      merged.shards, merged.epochs = kept.shards, kept.epochs
    end
    if mine.settled == '' then
      merged.settled = kept.settled
    end
  end
end

redis.call('HSET', key, 'identity', identity, 'fence', merged.fence, 'flight', merged.flight, 'shards', merged.shards,
  'epochs', merged.epochs, 'settled', merged.settled)
redis.call('PEXPIRE', key, ttl_ms)
return { merged.fence, merged.flight, merged.shards, merged.epochs, merged.settled }
