-- Days to roll over: returns the mailboxes of some shards whose days may have to roll over, each with an open earlier
-- day, or NULL.
--
-- $1 shard int[], $2 zone text[], $3 day date[] (the date in each zone)
--
-- A full join runs as a hash or merge join, whatever the planner expects of days that were just opened or closed. Only
-- that reads the days once, and not once per mailbox.
WITH today AS MATERIALIZED (
    SELECT zone, day, 1 << (extract(isodow FROM day)::int - 1) AS weekday
    FROM unnest($2::text[], $3::date[]) AS today (zone, day)
),
mine AS (
    SELECT m.id, today.day, m.enabled AND m.state IN ('active', 'paused') AND m.days & today.weekday <> 0 AS owes
    FROM (SELECT * FROM mailboxes WHERE shard = ANY ($1::int[])) AS m
    FULL JOIN today ON today.zone = m.timezone
    WHERE COALESCE(m.id IS NOT NULL AND today.zone IS NOT NULL, false)
),
open AS (
    SELECT mailbox_id, day FROM mailbox_days WHERE NOT closed
)
SELECT mine.id, CASE WHEN open.day < mine.day THEN open.day END AS open
FROM mine
FULL JOIN open ON open.mailbox_id = mine.id
WHERE COALESCE(open.day < mine.day, false) OR COALESCE(mine.owes AND open.day IS DISTINCT FROM mine.day, false)
ORDER BY mine.id
