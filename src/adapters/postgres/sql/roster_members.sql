-- Roster members: returns the mailboxes of a day's roster, as they are now. $1 day date, $2 now timestamptz.
--
-- Earlier days that are not closed yet already count for the ramp, as they will once the owner of the shard closes
-- them. Such days are few and have an index; a mailbox's own days are as many as retention leaves.
--
-- A full join runs as a hash or merge join. When a day has just begun, the planner expects as few open days as before;
-- any other join would read all of them for each mailbox. A row that comes only from the open days has no quota.
WITH growing AS MATERIALIZED (
    SELECT mailbox_id, count(*) AS days
    FROM mailbox_days
    WHERE day < $1 AND NOT closed AND quota > 0 AND sent * 2 >= quota
    GROUP BY mailbox_id
),
able AS (
    SELECT m.*
    FROM mailboxes m
    WHERE m.enabled
      AND (m.state = 'active' OR (m.state = 'paused' AND m.paused_until <= $2))
      AND (m.receives OR m.receive_until <= $2)
      AND (m.days >> (extract(isodow FROM $1::date)::int - 1)) & 1 = 1
),
members AS (
    SELECT * FROM (
        SELECT able.id, able.user_id, able.domain, able.verified_by IS NOT NULL AS verified,
               LEAST(able.daily_max, able.ramp_start + able.ramp_step * (able.grown + COALESCE(growing.days, 0))) AS quota
        FROM able
        FULL JOIN growing ON growing.mailbox_id = able.id
    ) AS each
    WHERE quota > 0
),
