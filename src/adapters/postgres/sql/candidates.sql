-- The mailboxes of some shards that may send now, each with its own today.
--
-- $1 shard int[], $2 zone text[], $3 day date[] (the date in each zone), $4 now timestamptz, $5 date date[] (each one of $3)
--
-- In any order: to sort them here would take longer, and nothing of them could be read meanwhile.
--
-- A full join runs as a hash or merge join, whatever the planner estimates. Before the first ANALYZE the planner chooses a
-- nested loop for a left join here, and reads all days of the fleet once for each mailbox. COALESCE keeps the planner from
-- reducing the full join to a left join.
--
-- Of a host whose breaker has opened, once its pause is over, one mailbox is tried at a time, each time another one,
-- until one is let in.
WITH probes AS MATERIALIZED (
    SELECT p.key, (
        SELECT m.id
        FROM mailboxes m
        WHERE lower(m.smtp_host) = p.key
          AND m.shard = ANY ($1::int[])
          AND m.enabled
          AND (m.state = 'active' OR (m.state = 'paused' AND m.paused_until <= $4))
        ORDER BY hashint8extended(m.id, extract(epoch FROM $4)::bigint)
        LIMIT 1
    ) AS mailbox_id
    FROM pauses p
    WHERE p.scope = 'host' AND p.probing AND p.until <= $4
),
able AS (
    SELECT m.*
    FROM mailboxes m
    WHERE m.shard = ANY ($1::int[])
      AND m.enabled
      AND (m.state = 'active' OR (m.state = 'paused' AND m.paused_until <= $4))
      AND lower(m.smtp_host) NOT IN (SELECT key FROM pauses WHERE until > $4 AND scope = 'host')
      AND (m.user_id, m.domain) NOT IN (SELECT user_id, key FROM owner_pauses WHERE until > $4 AND scope = 'domain')
      AND (m.user_id, lower(m.smtp_host) || ':' || m.smtp_port)
          NOT IN (SELECT user_id, key FROM owner_pauses WHERE until > $4 AND scope = 'host')
      AND (lower(m.smtp_host) NOT IN (SELECT key FROM probes) OR m.id IN (SELECT mailbox_id FROM probes))
),
zoned AS (
    SELECT able.*, today.place, today.day AS today
    FROM able
    FULL JOIN unnest($2::text[], $3::date[]) WITH ORDINALITY AS today (zone, day, place) ON today.zone = able.timezone
    WHERE COALESCE(able.id IS NOT NULL AND today.zone IS NOT NULL, false)
)
SELECT m.id, m.user_id, m.shard, m.domain, m.smtp_host, m.place, m.window_start, m.window_end, m.days,
       m.ramp_start, m.ramp_step, m.daily_max, m.grown, COALESCE(d.reserved, 0::smallint), COALESCE(d.sent, 0::smallint),
       COALESCE(d.attempts, 0::smallint), d.next_at, d.last_sent_at, m.enrolled_at,
       COALESCE(d.failed_in_row, 0::smallint)
FROM zoned m
FULL JOIN (SELECT * FROM mailbox_days WHERE day = ANY ($5::date[])) AS d ON d.mailbox_id = m.id AND d.day = m.today
WHERE COALESCE(m.id IS NOT NULL, false)
  -- A today that is closed was fenced: all that is asked of it would be refused, and take tokens from the caps.
  AND NOT COALESCE(d.closed, false)
