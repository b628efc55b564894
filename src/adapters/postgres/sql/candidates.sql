-- The mailboxes of some shards that may send now, each with its own today.
--
-- $1 shard int[], $2 zone text[], $3 day date[] (the date in each zone), $4 now timestamptz
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
)
SELECT m.id, m.user_id, m.shard, m.domain, lower(m.smtp_host) AS host, m.timezone, m.window_start, m.window_end, m.days,
       m.ramp_start, m.ramp_step, m.daily_max, m.grown, today.day, COALESCE(d.reserved, 0::smallint) AS reserved, COALESCE(d.sent, 0::smallint) AS sent,
       COALESCE(d.attempts, 0::smallint) AS attempts, d.next_at, d.last_sent_at
FROM mailboxes m
JOIN unnest($2::text[], $3::date[]) AS today (zone, day) ON today.zone = m.timezone
LEFT JOIN mailbox_days d ON d.mailbox_id = m.id AND d.day = today.day
WHERE m.shard = ANY ($1::int[])
  AND m.enabled
  AND (m.state = 'active' OR (m.state = 'paused' AND m.paused_until <= $4))
  AND NOT EXISTS (
      SELECT FROM pauses p
      WHERE p.until > $4
        AND ((p.scope = 'host' AND p.key = lower(m.smtp_host)) OR (p.scope = 'domain' AND p.key = m.domain))
  )
  AND NOT EXISTS (SELECT FROM probes WHERE probes.key = lower(m.smtp_host) AND probes.mailbox_id IS DISTINCT FROM m.id)
ORDER BY m.id
