-- Turn the days of some mailboxes: close each one's earlier days, once, and open its today.
--
-- $1 mailbox bigint[], $2 open date[] (an earlier day of it that is to be closed, or NULL; a mailbox may be there more than
-- once), $3 zone text[], $4 day date[] (the date in each zone), $5 now timestamptz
-- Locks mailbox_days, then mailboxes, each by key. A closed day of which at least half the quota was sent raises the ramp; one that fell short is `late`.
WITH today AS (
    SELECT * FROM unnest($3::text[], $4::date[]) AS today (zone, day)
),
mine AS MATERIALIZED (
    SELECT m.id, m.user_id, m.grown, m.daily_max, m.ramp_start, m.ramp_step, today.day,
           m.enabled AND m.state IN ('active', 'paused')
               AND (m.days >> (extract(isodow FROM today.day)::int - 1)) & 1 = 1 AS owes
    FROM (SELECT DISTINCT id FROM unnest($1::bigint[]) AS named (id)) AS named
    JOIN mailboxes m ON m.id = named.id
    JOIN today ON today.zone = m.timezone
),
asked AS MATERIALIZED (
    SELECT open.mailbox_id, open.day
    FROM unnest($1::bigint[], $2::date[]) AS open (mailbox_id, day)
    JOIN mine ON mine.id = open.mailbox_id AND mine.day > open.day
),
-- By their keys: the index of open days would be read from end to end for each group of mailboxes.
over AS MATERIALIZED (
    SELECT d.mailbox_id, d.day
    FROM asked
    JOIN mailbox_days d ON d.mailbox_id = asked.mailbox_id AND d.day = asked.day
    WHERE d.closed IS NOT TRUE
    ORDER BY d.mailbox_id, d.day
    FOR UPDATE OF d
),
closed AS (
    UPDATE mailbox_days d
    SET closed = true, reason = CASE WHEN d.reserved < d.quota THEN 'late' END
    FROM over
    WHERE d.mailbox_id = over.mailbox_id AND d.day = over.day
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
    SELECT $5, 'day-short', mailbox_id, reason, format('%s: %s of %s', day, reserved, quota)
    FROM closed
    WHERE reason IS NOT NULL
),
opened AS (
    INSERT INTO mailbox_days (mailbox_id, day, quota, failed_in_row)
    SELECT mine.id, mine.day, LEAST(mine.daily_max, mine.ramp_start + COALESCE(grew.grown, mine.grown)::int * mine.ramp_step),
           COALESCE(before.failed_in_row, 0)
    FROM mine
    LEFT JOIN grew ON grew.id = mine.id
    -- By this order only the primary key finds the day, whatever the planner estimates.
    LEFT JOIN LATERAL (
        SELECT CASE d.mailbox_id WHEN mine.id THEN d.failed_in_row END AS failed_in_row FROM mailbox_days d
        WHERE (d.mailbox_id, d.day) < (mine.id, mine.day) ORDER BY d.mailbox_id DESC, d.day DESC LIMIT 1
    ) AS before ON true
    WHERE mine.owes
    ORDER BY mine.id
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM closed
