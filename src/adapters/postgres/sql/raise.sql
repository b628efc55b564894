-- Raise: raises the epoch of each shard whose epoch is still the one that we read. $1 worker text, $2 shard int[],
-- $3 epoch bigint[]. Returns the new epochs in order; NULL if another worker was first.
WITH asked AS (
    SELECT * FROM unnest($2::int[], $3::bigint[]) WITH ORDINALITY AS asked (shard, epoch, place)
),
held AS MATERIALIZED (
    SELECT s.shard
    FROM shards s
    JOIN asked ON asked.shard = s.shard AND asked.epoch = s.epoch
    ORDER BY s.shard
    FOR UPDATE OF s
),
raised AS (
    UPDATE shards s
    SET epoch = s.epoch + 1, worker_id = $1
    FROM held
    JOIN asked ON asked.shard = held.shard
    WHERE s.shard = held.shard AND s.epoch = asked.epoch
    RETURNING s.shard, s.epoch
)
SELECT raised.epoch FROM asked LEFT JOIN raised ON raised.shard = asked.shard ORDER BY asked.place
