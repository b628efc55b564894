-- Remove: erases the password of mailboxes; the row, its log and its counters remain. In-flight mails still settle.
-- $1 mailbox bigint[], $2 reason text, $3 now timestamptz
WITH old AS MATERIALIZED (
    SELECT id, user_id, state, reason
    FROM mailboxes
    WHERE id = ANY ($1::bigint[]) AND state <> 'removed'
    ORDER BY id
    FOR UPDATE
),
written AS (
    UPDATE mailboxes m
    SET state = 'removed', reason = $2, paused_until = NULL, sealed_password = NULL, changed_at = $3
    FROM old
    WHERE m.id = old.id
    RETURNING m.id
),
told AS (
    INSERT INTO events (at, kind, mailbox_id, user_id, reason, detail)
    SELECT $3, 'mailbox-removed', old.id, old.user_id, $2,
           CASE old.state WHEN 'active' THEN '' ELSE format('was %s: %s', old.state, old.reason) END
    FROM old
    JOIN written ON written.id = old.id
    ORDER BY old.id
)
SELECT id FROM written ORDER BY id
