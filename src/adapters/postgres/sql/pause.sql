-- Pause: pauses mailboxes until the operator resumes them. $1 mailbox bigint[], $2 reason text, $3 now timestamptz
--
-- A disabled mailbox stays disabled, so that its reason is not lost.
WITH old AS MATERIALIZED (
    SELECT id, user_id, state, reason
    FROM mailboxes
    WHERE id = ANY ($1::bigint[])
      AND (state = 'active' OR state = 'paused' AND (paused_until IS NOT NULL OR reason <> $2))
    ORDER BY id
    FOR UPDATE
),
written AS (
    UPDATE mailboxes m
    SET state = 'paused', reason = $2, paused_until = NULL, changed_at = $3
    FROM old
    WHERE m.id = old.id
    RETURNING m.id
),
told AS (
    INSERT INTO events (at, kind, mailbox_id, user_id, reason, detail)
    SELECT $3, 'mailbox-paused', old.id, old.user_id, $2,
           CASE old.state WHEN 'active' THEN '' ELSE 'was paused: ' || old.reason END
    FROM old
    JOIN written ON written.id = old.id
    ORDER BY old.id
)
SELECT id FROM written ORDER BY id
