-- Candidates: returns the mailboxes of some shards that may send now, each with its own today.
--
-- $1 shard int[], $2 zone text[], $3 day date[] (the date in each zone), $4 now timestamptz,
-- $5 date date[] (each one of $3)
--
-- The rows are unordered: a sort here would take longer, and no row could be read meanwhile.
--
-- A full join runs as a hash or merge join, whatever the planner estimates. Before the first ANALYZE the planner
-- chooses a nested loop for a left join here, and reads all days of the fleet once for each mailbox. COALESCE keeps the
-- planner from reducing the full join to a left join.
--
-- `probe` is the key of a host, or of one owner's login at a host, whose breaker is open and whose pause is over. The
-- plan lets one mailbox of each key try, preferably one that has sent a mail before (domain/probe.rs). The common
-- breaker of the host comes first.
WITH able AS (
    SELECT m.*, CASE
               WHEN NOT EXISTS (SELECT FROM pauses WHERE probing) THEN NULL
               WHEN lower(m.smtp_host) IN (SELECT key FROM pauses WHERE probing AND scope = 'host') THEN lower(m.smtp_host)
               WHEN m.user_id IN (SELECT user_id FROM pauses WHERE probing AND scope = 'login')
                   AND login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security)
                       IN (SELECT key FROM pauses WHERE probing AND scope = 'login')
               THEN login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security)
           END AS probe
    FROM mailboxes m
    WHERE m.shard = ANY ($1::int[])
      AND m.enabled
      AND (m.state = 'active' OR (m.state = 'paused' AND m.paused_until <= $4))
      AND lower(m.smtp_host) NOT IN (SELECT key FROM pauses WHERE until > $4 AND scope = 'host')
      -- The owner first, so that few owners need the key.
      AND (m.user_id NOT IN (SELECT user_id FROM pauses WHERE until > $4 AND scope = 'login')
           OR login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security)
              NOT IN (SELECT key FROM pauses WHERE until > $4 AND scope = 'login'))
      AND (m.user_id, m.domain) NOT IN (SELECT user_id, key FROM owner_pauses WHERE until > $4 AND scope = 'domain')
      AND (m.user_id, lower(m.smtp_host) || ':' || m.smtp_port)
          NOT IN (SELECT user_id, key FROM owner_pauses WHERE until > $4 AND scope = 'host')
),
zoned AS (
    SELECT able.*, today.place, today.day AS today
    FROM able
    FULL JOIN unnest($2::text[], $3::date[]) WITH ORDINALITY AS today (zone, day, place) ON today.zone = able.timezone
    WHERE COALESCE(able.id IS NOT NULL AND today.zone IS NOT NULL, false)
)
SELECT m.id, m.user_id, m.shard, m.domain, m.smtp_host, m.verified_by IS NOT NULL, m.place, m.window_start, m.window_end, m.days,
       m.ramp_start, m.ramp_step, m.daily_max, m.grown, COALESCE(d.reserved, 0::smallint), COALESCE(d.sent, 0::smallint),
       COALESCE(d.attempts, 0::smallint), d.next_at, d.last_sent_at, m.enrolled_at,
       COALESCE(d.failed_in_row, 0::smallint), m.probe,
       -- Only the primary key yields this order, whatever the planner estimates.
       CASE WHEN m.probe IS NOT NULL THEN COALESCE((
           SELECT true FROM mailbox_days p
           WHERE p.mailbox_id = m.id AND p.sent + p.replied > 0 ORDER BY p.mailbox_id, p.day DESC LIMIT 1
       ), false) END
FROM zoned m
FULL JOIN (SELECT * FROM mailbox_days WHERE day = ANY ($5::date[])) AS d ON d.mailbox_id = m.id AND d.day = m.today
WHERE COALESCE(m.id IS NOT NULL, false)
  -- A closed today was fenced: every request for it would be refused, and take tokens from the caps.
  AND NOT COALESCE(d.closed, false)
