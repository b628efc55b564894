-- Heartbeat: proves that this worker can write, and reads the epochs of its shards.
-- $1 worker text, $2 run uuid, $3 shard int[], $4 refused_since timestamptz or NULL, $5 now timestamptz: day clock,
-- $6 clock_off text or NULL: the deviation of the clock, $7 state text: the state that the worker reports,
-- $8 kind text and $9 reason text of the event about a change of its state, or NULL,
-- $10 grants_expired bigint: the number of grants that this run has discarded so far.
-- Returns one row: the epochs in order (fewer if a shard is unknown), and the database's clock.
-- Locks: only the worker's own row, and stale rows that no other transaction has locked.
WITH beaten AS (
    INSERT INTO worker_heartbeats AS beat (worker_id, run, beat_at, state, grants_expired, grants_expired_at)
    VALUES ($1, $2, clock_timestamp(), $7, $10, CASE WHEN $10 > 0 THEN clock_timestamp() END)
    ON CONFLICT (worker_id) DO UPDATE
    SET run = EXCLUDED.run, beat_at = EXCLUDED.beat_at, state = EXCLUDED.state, grants_expired = EXCLUDED.grants_expired,
        grants_expired_at = CASE
            -- A new run counts from 0.
            WHEN EXCLUDED.grants_expired > CASE WHEN beat.run = EXCLUDED.run THEN beat.grants_expired ELSE 0 END
            THEN EXCLUDED.beat_at ELSE beat.grants_expired_at END
),
stale AS (
    DELETE FROM worker_heartbeats
    WHERE worker_id IN (
        SELECT worker_id FROM worker_heartbeats WHERE beat_at < now() - interval '1 day' AND worker_id <> $1
        FOR UPDATE SKIP LOCKED)
),
told AS (
    INSERT INTO events (at, kind, worker_id, reason, detail)
    SELECT $4, 'writes-refused', $1, 'database-read-only', 'until ' || to_char($5::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
    WHERE $4::timestamptz IS NOT NULL
),
clock_told AS (
    -- By the database's clock, because the worker's own clock is in doubt.
    INSERT INTO events (at, kind, worker_id, reason, detail)
    SELECT clock_timestamp(), 'clock-off', $1, 'clock', $6::text
    WHERE $6::text IS NOT NULL
),
changed AS (
    INSERT INTO events (at, kind, worker_id, reason, detail)
    SELECT clock_timestamp(), $8, $1, $9, ''
    WHERE $8::text IS NOT NULL
)
SELECT ARRAY(SELECT s.epoch
             FROM unnest($3::int[]) WITH ORDINALITY AS asked (shard, place)
             JOIN shards s ON s.shard = asked.shard
             ORDER BY asked.place) AS epochs,
       clock_timestamp() AS now
