-- Fence, first step: stops the fleet, and raises epochs and flight ids. $1 by text, $2 now timestamptz.
--
-- The numbers come from the server's clock, so the fence of a database that has lost an earlier fence exceeds that one
-- too. A fence is the number of seconds since 1970, a flight id a million times that. A fleet assigns fewer than a
-- million ids per second, and the ids reach 2^53, the limit of the API's JSON, in the year 2255.
-- Locks shards by key.
WITH clock AS (
    SELECT extract(epoch FROM clock_timestamp())::bigint AS seconds
),
stopped AS (
    UPDATE fleet_orders
    SET running = false, ordered_by = $1 || ', by a fence: `warmup fleet start --after-restore` starts it', ordered_at = $2::timestamptz, set_back_at = COALESCE(set_back_at, $2),
        set_back = COALESCE(set_back, 'the database was restored, says ' || $1), fenced_at = NULL,
        fence = GREATEST(fence + 1, (SELECT seconds FROM clock))
    RETURNING fence
),
held AS MATERIALIZED (
    SELECT shard FROM shards ORDER BY shard FOR UPDATE
),
raised AS (
    UPDATE shards s
    SET epoch = GREATEST(s.epoch + 1, (SELECT seconds FROM clock))
    FROM held
    WHERE s.shard = held.shard
),
ids AS (
    SELECT setval('flight_ids', GREATEST(last_value + 1, (SELECT seconds FROM clock) * 1000000)) AS next FROM flight_ids
)
SELECT stopped.fence, ids.next FROM stopped, ids
