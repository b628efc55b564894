-- Resume: lets mailboxes send and receive again. $1 mailbox bigint[], $2 reason text, $3 now timestamptz
--
-- Deletes the refusals that the owners' own mails met at these mailboxes; refusals by other owners' hosts expire by
-- themselves.
WITH old AS MATERIALIZED (
    SELECT id, user_id, state, reason, receives, receive_reason
    FROM mailboxes
    WHERE id = ANY ($1::bigint[]) AND state <> 'removed' AND (state <> 'active' OR NOT receives)
    ORDER BY id
    FOR UPDATE
),
written AS (
    UPDATE mailboxes m
    SET state = 'active', reason = NULL, paused_until = NULL, refusals = 0, failures = 0,
        receives = true, receive_reason = NULL, receive_until = NULL, changed_at = $3,
        able_since = CASE WHEN old.state <> 'active' THEN $3 ELSE m.able_since END
    FROM old
    WHERE m.id = old.id
    RETURNING m.id
),
forgotten AS (
    DELETE FROM partner_refusals r USING old JOIN written ON written.id = old.id
    WHERE r.partner_id = old.id AND r.user_id = old.user_id
),
told AS (
    INSERT INTO events (at, kind, mailbox_id, user_id, reason, detail)
    SELECT $3, 'mailbox-resumed', old.id, old.user_id, $2,
           concat_ws('; ', CASE WHEN old.state <> 'active' THEN 'was ' || old.state || ': ' || old.reason END,
                     CASE WHEN NOT old.receives THEN 'received nothing: ' || old.receive_reason END)
    FROM old
    JOIN written ON written.id = old.id
    ORDER BY old.id
)
SELECT id FROM written ORDER BY id
