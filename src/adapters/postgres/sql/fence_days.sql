-- Fence, last step: closes today for every mailbox in its own zone, and lapses the waiting replies. The mails sent
-- today and lost are unknown. The mails received today and lost are unknown too, so the day counts as full.
-- $1 zone text[], $2 day date[] (the date in each zone), $3 now timestamptz, $4 by text,
-- $5 int: the number of mails that a mailbox may receive on its own day beyond its quota
-- Locks mailbox_days, scheduled_replies, received_days, each by key.
WITH today AS (
    SELECT * FROM unnest($1::text[], $2::date[]) AS today (zone, day)
),
closed AS (
    INSERT INTO mailbox_days AS d (mailbox_id, day, quota, closed, reason)
    SELECT m.id, today.day, LEAST(m.daily_max, m.ramp_start + m.grown::int * m.ramp_step), true, 'fenced'
    FROM mailboxes m
    JOIN today ON today.zone = m.timezone
    WHERE m.state <> 'removed'
    ORDER BY m.id, today.day
    ON CONFLICT (mailbox_id, day) DO UPDATE SET closed = true, reason = 'fenced'
    RETURNING d.mailbox_id
),
waiting AS MATERIALIZED (
    SELECT id FROM scheduled_replies
    WHERE state IN ('waiting', 'claimed') AND (SELECT count(*) FROM closed) >= 0
    ORDER BY id
    FOR UPDATE
),
lapsed AS (
    UPDATE scheduled_replies s SET state = 'lapsed', reason = 'fenced', ended_at = $3::timestamptz
    FROM waiting WHERE s.id = waiting.id
    RETURNING s.id
),
filled AS (
    INSERT INTO received_days AS rd (day, mailbox_id, received)
    SELECT today.day, m.id, LEAST(m.daily_max, m.ramp_start + m.grown::int * m.ramp_step) + $5::int
    FROM mailboxes m
    JOIN today ON today.zone = m.timezone
    WHERE m.state <> 'removed' AND (SELECT count(*) FROM lapsed) >= 0
    ORDER BY today.day, m.id
    ON CONFLICT (day, mailbox_id) DO UPDATE SET received = GREATEST(rd.received, EXCLUDED.received)
    RETURNING rd.mailbox_id
),
fenced AS (
    UPDATE fleet_orders SET fenced_at = $3 WHERE (SELECT count(*) FROM filled) >= 0
),
told AS (
    INSERT INTO events (at, kind, reason, detail)
    SELECT $3, 'fleet-fenced', 'operator', 'by ' || $4 || ': today is closed for ' || count(*) || ' mailboxes' FROM closed
)
SELECT (SELECT count(*) FROM closed) AS closed, (SELECT count(*) FROM lapsed) AS lapsed
