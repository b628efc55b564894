-- Roll over days: closes each mailbox's earlier days, once, and opens its today. A today that a clock ahead had closed
-- is opened again and loses what its closing added to the ramp; a fenced today stays closed. Days after today that a
-- clock ahead had opened are deleted, if nothing was started on them.
--
-- $1 mailbox bigint[], $2 open date[] (an earlier day of the mailbox to close, or NULL; a mailbox may appear more
-- than once), $3 zone text[], $4 day date[] (the date in each zone), $5 now timestamptz
-- Locks mailbox_days, then mailboxes, each by key. A closed day with at least half the quota sent raises the ramp; a
-- day that fell short is `late`.
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
-- A clock ahead had closed today.
closed_today AS MATERIALIZED (
    SELECT d.mailbox_id, d.day
    FROM mine
    JOIN mailbox_days d ON d.mailbox_id = mine.id AND d.day = mine.day
    WHERE d.closed AND d.reason IS DISTINCT FROM 'fenced'
),
keys AS MATERIALIZED (
    SELECT mailbox_id, day FROM asked WHERE day IS NOT NULL
    UNION ALL
    SELECT mailbox_id, day FROM closed_today
    UNION ALL
    SELECT later.mailbox_id, later.day
    FROM closed_today
    CROSS JOIN LATERAL (
        SELECT d.mailbox_id, d.day FROM mailbox_days d
        WHERE d.mailbox_id = closed_today.mailbox_id AND d.day > closed_today.day
    ) AS later
),
-- All days that change, in one order. By their keys: the planner would otherwise read the whole index of open days for
-- each group of mailboxes.
locked AS MATERIALIZED (
    SELECT d.mailbox_id, d.day, d.grew, mine.day AS today
    FROM keys
    JOIN mine ON mine.id = keys.mailbox_id
    JOIN mailbox_days d ON d.mailbox_id = keys.mailbox_id AND d.day = keys.day
    WHERE CASE
        WHEN d.day < mine.day THEN d.closed IS NOT TRUE
        WHEN d.day = mine.day THEN d.closed AND d.reason IS DISTINCT FROM 'fenced'
        ELSE d.reserved = 0 AND d.attempts = 0 AND NOT d.closed
    END
    ORDER BY d.mailbox_id, d.day
    FOR UPDATE OF d
),
closed AS (
    UPDATE mailbox_days d
    SET closed = true, reason = CASE WHEN d.reserved < d.quota THEN 'late' END, grew = d.quota > 0 AND d.sent * 2 >= d.quota
    FROM locked
    WHERE locked.day < locked.today AND d.mailbox_id = locked.mailbox_id AND d.day = locked.day
    RETURNING d.mailbox_id, d.day, d.quota, d.reserved, d.reason, d.grew
),
again AS (
    SELECT mailbox_id, day, grew FROM locked WHERE day = today
),
reopened AS (
    UPDATE mailbox_days d
    SET closed = false, reason = NULL, grew = false
    FROM again
    WHERE d.mailbox_id = again.mailbox_id AND d.day = again.day
    RETURNING d.mailbox_id, d.day
),
-- A day that the wrong clock opened.
ahead AS (
    DELETE FROM mailbox_days d
    USING locked
    WHERE locked.day > locked.today AND d.mailbox_id = locked.mailbox_id AND d.day = locked.day
),
counting AS (
    SELECT mailbox_id, sum(days)::int AS days
    FROM (SELECT mailbox_id, 1 AS days FROM closed WHERE grew
          UNION ALL
          SELECT mailbox_id, -1 FROM again WHERE grew) AS steps
    GROUP BY mailbox_id
    HAVING sum(days) <> 0
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
    SET grown = LEAST(GREATEST(m.grown + growing.days, 0), 32767)
    FROM growing
    WHERE m.id = growing.id
    RETURNING m.id, m.grown
),
told AS (
    INSERT INTO events (at, kind, mailbox_id, reason, detail)
    SELECT $5, 'day-short', mailbox_id, reason, format('%s: %s of %s', day, reserved, quota)
    FROM closed
    WHERE reason IS NOT NULL
    UNION ALL
    SELECT $5, 'day-reopened', mailbox_id, 'clock', day::text
    FROM reopened
),
opened AS (
    INSERT INTO mailbox_days (mailbox_id, day, quota, failed_in_row)
    SELECT mine.id, mine.day, LEAST(mine.daily_max, mine.ramp_start + COALESCE(grew.grown, mine.grown)::int * mine.ramp_step),
           COALESCE(before.failed_in_row, 0)
    FROM mine
    LEFT JOIN grew ON grew.id = mine.id
    -- Only the primary key finds the day in this order, whatever the planner estimates.
    LEFT JOIN LATERAL (
        SELECT CASE d.mailbox_id WHEN mine.id THEN d.failed_in_row END AS failed_in_row FROM mailbox_days d
        WHERE (d.mailbox_id, d.day) < (mine.id, mine.day) ORDER BY d.mailbox_id DESC, d.day DESC LIMIT 1
    ) AS before ON true
    WHERE mine.owes
    ORDER BY mine.id
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM closed
