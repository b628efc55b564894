-- Due replies: returns the replies of some shards that fall due before the next tick, and lapses the expired ones. An
-- open breaker is probed by a mail, never by a reply.
--
-- $1 shard int[], $2 now timestamptz (day clock), $3 before timestamptz
WITH late AS MATERIALIZED (
    SELECT s.id
    FROM scheduled_replies s
    JOIN mailboxes m ON m.id = s.mailbox_id
    WHERE s.state = 'waiting' AND s.due_at < $2 AND s.until <= $2 AND m.shard = ANY ($1::int[])
    ORDER BY s.id
    FOR UPDATE OF s
),
lapsed AS (
    UPDATE scheduled_replies s
    SET state = 'lapsed', reason = 'late', ended_at = $2
    FROM late
    WHERE s.id = late.id
)
SELECT s.id, s.mailbox_id, m.user_id, m.shard, m.domain, m.smtp_host, m.timezone, s.partner_id, s.message_id, s.subject, s.due_at,
       s.until, s.trace,
       -- Only the primary key finds the last day in this order, whatever the planner estimates.
       (SELECT CASE d.mailbox_id WHEN m.id THEN d.next_at END FROM mailbox_days d
        WHERE d.mailbox_id <= m.id ORDER BY d.mailbox_id DESC, d.day DESC LIMIT 1) AS next_at
FROM scheduled_replies s
JOIN mailboxes m ON m.id = s.mailbox_id
WHERE s.state = 'waiting' AND s.due_at < $3 AND s.until > $2 AND m.shard = ANY ($1::int[])
  AND NOT EXISTS (SELECT FROM pauses p WHERE p.scope = 'host' AND p.key = lower(m.smtp_host) AND p.probing)
  AND NOT EXISTS (
      SELECT FROM pauses p
      WHERE p.scope = 'login' AND p.key = login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security) AND p.probing
  )
ORDER BY s.due_at, s.id
