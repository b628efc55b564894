-- Make the roster of a day, if nobody has. $1 day date, $2 now timestamptz.
--
-- A second asker waits here for the first one's commit and then finds it made. Earlier days that are not closed yet
-- already count for the ramp, as they will once their owner turns them. Those are few and have an index; a mailbox's own
-- days are as many as are kept.
WITH made AS (
    INSERT INTO rosters (day, made_at) VALUES ($1, $2) ON CONFLICT DO NOTHING
    RETURNING day
),
growing AS MATERIALIZED (
    SELECT mailbox_id, count(*) AS days
    FROM mailbox_days
    WHERE day < $1 AND NOT closed AND quota > 0 AND sent * 2 >= quota
    GROUP BY mailbox_id
),
members AS (
    SELECT m.id, m.user_id, m.domain,
           LEAST(m.daily_max, m.ramp_start + m.ramp_step * (m.grown + COALESCE(growing.days, 0))) AS quota
    FROM mailboxes m
    LEFT JOIN growing ON growing.mailbox_id = m.id
    WHERE m.enabled
      AND (m.state = 'active' OR (m.state = 'paused' AND m.paused_until <= $2))
      AND (m.receives OR m.receive_until <= $2)
      AND (m.days >> (extract(isodow FROM $1::date)::int - 1)) & 1 = 1
)
INSERT INTO roster (day, position, mailbox_id, user_id, domain, quota)
SELECT made.day, row_number() OVER (ORDER BY members.user_id, members.domain COLLATE "C", members.id) - 1, members.id,
       members.user_id, members.domain, members.quota
FROM members
CROSS JOIN made
WHERE members.quota > 0
