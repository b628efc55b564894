-- Turn the days of some shards: close each mailbox's earlier days, once, and open its today.
--
-- $1 shard int[], $2 zone text[], $3 day date[] (the date in each zone), $4 now timestamptz
-- Locks mailbox_days, then mailboxes, each by key. A closed day of which at least half the quota was sent raises the ramp; one that fell short is `late`.
WITH today AS (
    SELECT * FROM unnest($2::text[], $3::date[]) AS today (zone, day)
),
mine AS MATERIALIZED (
    SELECT m.id, m.user_id, m.grown, m.daily_max, m.ramp_start, m.ramp_step, today.day,
           m.enabled AND m.state IN ('active', 'paused')
               AND (m.days >> (extract(isodow FROM today.day)::int - 1)) & 1 = 1 AS owes
    FROM mailboxes m
    JOIN today ON today.zone = m.timezone
    WHERE m.shard = ANY ($1::int[])
),
over AS MATERIALIZED (
    SELECT d.mailbox_id, d.day
    FROM mailbox_days d
    JOIN mine ON mine.id = d.mailbox_id
    WHERE d.day < mine.day AND NOT d.closed
    ORDER BY d.mailbox_id, d.day
    FOR UPDATE OF d
),
closed AS (
    UPDATE mailbox_days d
    SET closed = true, reason = CASE WHEN d.reserved < d.quota THEN 'late' END
    FROM over
    WHERE d.mailbox_id = over.mailbox_id AND d.day = over.day AND NOT d.closed
    RETURNING d.mailbox_id, d.day, d.quota, d.sent, d.reserved, d.reason
),
counting AS (
    SELECT mailbox_id, count(*)::int AS days
    FROM closed
    WHERE quota > 0 AND sent * 2 >= quota
    GROUP BY mailbox_id
),
growing AS MATERIALIZED (
    SELECT m.id, counting.days
    FROM mailboxes m
    JOIN counting ON counting.mailbox_id = m.id
    ORDER BY m.id
    FOR UPDATE OF m
),
grew AS (
    UPDATE mailboxes m
    SET grown = LEAST(m.grown + growing.days, 32767)
    FROM growing
    WHERE m.id = growing.id
    RETURNING m.id, m.grown
),
told AS (
    INSERT INTO events (at, kind, mailbox_id, reason, detail)
    SELECT $4, 'day-short', mailbox_id, reason, format('%s: %s of %s', day, reserved, quota)
    FROM closed
    WHERE reason IS NOT NULL
),
opened AS (
    INSERT INTO mailbox_days (mailbox_id, day, quota, failed_in_row)
    SELECT mine.id, mine.day, LEAST(mine.daily_max, mine.ramp_start + COALESCE(grew.grown, mine.grown)::int * mine.ramp_step),
           COALESCE(before.failed_in_row, 0)
    FROM mine
    LEFT JOIN grew ON grew.id = mine.id
    LEFT JOIN LATERAL (
        SELECT d.failed_in_row FROM mailbox_days d
        WHERE d.mailbox_id = mine.id AND d.day < mine.day ORDER BY d.day DESC LIMIT 1
    ) AS before ON true
    WHERE mine.owes
      AND NOT EXISTS (SELECT FROM mailbox_days d WHERE d.mailbox_id = mine.id AND d.day = mine.day)
    ORDER BY mine.id
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM closed
