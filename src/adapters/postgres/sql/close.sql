-- The one way in which a flight ends, whatever ended it: behind each `results` above.
--
-- Locks in the order of the schema's head: in_flight, mailbox_days, mailboxes, user_days, batches; each by key.
-- Repeatable: a flight that is gone and whose row is not uncertain is left alone.
flights AS MATERIALIZED (
    SELECT f.*, r.fate
    FROM in_flight f
    JOIN results r ON r.flight = f.id
    ORDER BY f.id
    FOR UPDATE OF f
),
gone AS (
    DELETE FROM in_flight USING flights WHERE in_flight.id = flights.id
    RETURNING in_flight.id
),
-- A late definite answer corrects its own uncertain row.
doubtful AS MATERIALIZED (
    SELECT l.id, l.day
    FROM logs l
    JOIN results r ON r.day = l.day AND r.flight = l.id
    WHERE l.reason = 'uncertain' AND r.fate IN ('sent', 'refused')
    ORDER BY l.id
    FOR UPDATE OF l
),
corrected AS (
    UPDATE logs l
    SET status = CASE r.fate WHEN 'sent' THEN 'SENT' ELSE 'FAILED' END,
        reason = CASE r.fate WHEN 'sent' THEN NULL ELSE r.reason END,
        at = r.at, smtp_code = r.smtp_code, enhanced_code = r.enhanced, latency_ms = r.latency_ms, notes = r.notes
    FROM results r
    JOIN doubtful ON doubtful.id = r.flight AND doubtful.day = r.day
    WHERE l.day = r.day AND l.id = r.flight AND l.reason = 'uncertain'
    RETURNING l.mailbox_id, l.partner_id, l.day, r.flight, r.fate
),
written AS (
    INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, reason,
                      smtp_code, enhanced_code, latency_ms, worker_id, notes)
    SELECT f.id, r.at, f.day, f.mailbox_id, f.partner_id, f.sender, f.recipient, f.subject, f.message_id,
           CASE r.fate WHEN 'sent' THEN 'SENT' ELSE 'FAILED' END, r.reason, r.smtp_code, r.enhanced, r.latency_ms,
           f.worker_id, r.notes
    FROM flights f
    JOIN results r ON r.flight = f.id
    WHERE r.fate <> 'unstarted'
),
unused AS (
    DELETE FROM pairs
    USING flights f
    WHERE f.fate = 'unstarted' AND pairs.day = f.day AND pairs.mailbox_id = f.mailbox_id
      AND pairs.partner_id = f.partner_id AND pairs.round = f.round
),
moves AS (
    SELECT mailbox_id, day, sum(sent)::int AS sent, sum(failed)::int AS failed, sum(uncertain)::int AS uncertain,
           sum(given_back)::int AS given_back, max(next_at) AS next_at, max(at) AS at
    FROM (
        SELECT f.mailbox_id, f.day, (r.fate = 'sent')::int AS sent, (r.fate = 'refused')::int AS failed,
               (r.fate = 'uncertain')::int AS uncertain, (r.fate IN ('refused', 'unstarted'))::int AS given_back,
               r.next_at, CASE WHEN r.fate <> 'unstarted' THEN r.at END AS at
        FROM flights f
        JOIN results r ON r.flight = f.id
        UNION ALL
        SELECT c.mailbox_id, c.day, (c.fate = 'sent')::int, (c.fate = 'refused')::int, -1, (c.fate = 'refused')::int,
               NULL, NULL
        FROM corrected c
    ) AS each
    GROUP BY mailbox_id, day
),
days AS MATERIALIZED (
    SELECT d.mailbox_id, d.day
    FROM mailbox_days d
    JOIN moves ON moves.mailbox_id = d.mailbox_id AND moves.day = d.day
    ORDER BY d.mailbox_id, d.day
    FOR UPDATE OF d
),
counted AS (
    UPDATE mailbox_days d
    SET sent = d.sent + moves.sent,
        failed = d.failed + moves.failed,
        uncertain = d.uncertain + moves.uncertain,
        reserved = d.reserved - moves.given_back,
        next_at = GREATEST(d.next_at, moves.next_at),
        last_sent_at = GREATEST(d.last_sent_at, moves.at)
    FROM moves
    JOIN days ON days.mailbox_id = moves.mailbox_id AND days.day = moves.day
    WHERE d.mailbox_id = moves.mailbox_id AND d.day = moves.day
),
-- Whom the answers concern. A mailbox can be one mail's sender and another one's partner: one row, one update.
ends AS (
    SELECT flight, mailbox_id, partner_id, fate FROM (
        SELECT id AS flight, mailbox_id, partner_id, fate FROM flights
        UNION ALL
        SELECT flight, mailbox_id, partner_id, fate FROM corrected
    ) AS both_kinds
),
marks AS MATERIALIZED (
    SELECT id, max(sends_until) AS sends_until, (array_agg(reason ORDER BY sends_until DESC NULLS LAST))[1] AS sends_reason,
           max(receives_until) AS receives_until,
           (array_agg(reason ORDER BY receives_until DESC NULLS LAST))[1] AS receives_reason, max(at) AS at
    FROM (
        SELECT e.mailbox_id AS id, r.sender_until AS sends_until, NULL::timestamptz AS receives_until, r.reason, r.at
        FROM ends e JOIN results r ON r.flight = e.flight WHERE r.sender_until IS NOT NULL
        UNION ALL
        SELECT e.partner_id, NULL, r.partner_until, r.reason, r.at
        FROM ends e JOIN results r ON r.flight = e.flight WHERE r.partner_until IS NOT NULL
    ) AS each
    GROUP BY id
),
boxes AS MATERIALIZED (
    SELECT m.id FROM mailboxes m JOIN marks ON marks.id = m.id ORDER BY m.id FOR UPDATE OF m
),
marked AS (
    UPDATE mailboxes m
    SET state = CASE WHEN marks.sends_until IS NULL OR m.state IN ('disabled', 'removed') THEN m.state
                     WHEN marks.sends_until = 'infinity' THEN 'disabled'
                     ELSE 'paused' END,
        reason = CASE WHEN marks.sends_until IS NULL OR m.state IN ('disabled', 'removed') THEN m.reason
                      WHEN m.state = 'paused' AND m.paused_until IS NULL AND marks.sends_until <> 'infinity' THEN m.reason
                      ELSE marks.sends_reason END,
        paused_until = CASE WHEN marks.sends_until IS NULL OR m.state IN ('disabled', 'removed') THEN m.paused_until
                            WHEN marks.sends_until = 'infinity' THEN NULL
                            WHEN m.state = 'paused' AND m.paused_until IS NULL THEN NULL
                            ELSE GREATEST(m.paused_until, marks.sends_until) END,
        receives = m.receives AND marks.receives_until IS NULL,
        receive_reason = CASE WHEN marks.receives_until IS NULL OR (NOT m.receives AND m.receive_until IS NULL)
                              THEN m.receive_reason ELSE marks.receives_reason END,
        receive_until = CASE WHEN marks.receives_until IS NULL OR (NOT m.receives AND m.receive_until IS NULL)
                             THEN m.receive_until
                             WHEN marks.receives_until = 'infinity' THEN NULL
                             ELSE GREATEST(m.receive_until, marks.receives_until) END,
        changed_at = marks.at
    FROM marks
    JOIN boxes ON boxes.id = marks.id
    WHERE m.id = marks.id
    RETURNING m.id
),
held AS (
    INSERT INTO pauses AS p (scope, key, reason, since, until)
    SELECT scope, key, (array_agg(reason ORDER BY until DESC))[1], min(at), max(until)
    FROM (
        SELECT 'host' AS scope, lower(m.smtp_host) AS key, r.reason, r.at, r.host_until AS until
        FROM ends e JOIN results r ON r.flight = e.flight JOIN mailboxes m ON m.id = e.mailbox_id
        WHERE r.host_until IS NOT NULL
        UNION ALL
        SELECT 'domain', m.domain, r.reason, r.at, r.domain_until
        FROM ends e JOIN results r ON r.flight = e.flight JOIN mailboxes m ON m.id = e.mailbox_id
        WHERE r.domain_until IS NOT NULL
    ) AS each
    GROUP BY scope, key
    ORDER BY scope, key
    ON CONFLICT (scope, key) DO UPDATE SET
        reason = EXCLUDED.reason, since = LEAST(p.since, EXCLUDED.since), until = GREATEST(p.until, EXCLUDED.until)
    RETURNING p.scope, p.key, p.reason, p.since, p.until
),
told AS (
    INSERT INTO events (at, kind, mailbox_id, reason, detail)
    SELECT marks.at, CASE marks.sends_until WHEN 'infinity' THEN 'sender-disabled' ELSE 'sender-paused' END, marks.id,
           marks.sends_reason, CASE marks.sends_until WHEN 'infinity' THEN '' ELSE 'until ' || marks.sends_until END
    FROM marks JOIN marked ON marked.id = marks.id WHERE marks.sends_until IS NOT NULL
    UNION ALL
    SELECT marks.at, CASE marks.receives_until WHEN 'infinity' THEN 'partner-excluded' ELSE 'partner-paused' END,
           marks.id, marks.receives_reason,
           CASE marks.receives_until WHEN 'infinity' THEN '' ELSE 'until ' || marks.receives_until END
    FROM marks JOIN marked ON marked.id = marks.id WHERE marks.receives_until IS NOT NULL
    UNION ALL
    SELECT held.since, held.scope || '-paused', NULL, held.reason, held.key || ' until ' || held.until FROM held
),
user_moves AS (
    SELECT user_id, day, count(*)::int AS given_back
    FROM flights
    WHERE limited AND fate IN ('refused', 'unstarted')
    GROUP BY user_id, day
),
user_rows AS MATERIALIZED (
    SELECT ud.user_id, ud.day
    FROM user_days ud
    JOIN user_moves ON user_moves.user_id = ud.user_id AND user_moves.day = ud.day
    ORDER BY ud.user_id, ud.day
    FOR UPDATE OF ud
),
user_counted AS (
    UPDATE user_days ud
    SET reserved = ud.reserved - user_moves.given_back
    FROM user_moves
    JOIN user_rows ON user_rows.user_id = user_moves.user_id AND user_rows.day = user_moves.day
    WHERE ud.user_id = user_moves.user_id AND ud.day = user_moves.day
),
batch_moves AS (
    SELECT f.batch_id AS id, count(*) FILTER (WHERE f.fate = 'sent')::int AS sent,
           count(*) FILTER (WHERE f.fate = 'refused')::int AS failed,
           count(*) FILTER (WHERE f.fate = 'uncertain')::int AS uncertain,
           count(*) FILTER (WHERE f.fate = 'unstarted')::int AS released, max(r.at) AS at, count(*)::int AS n
    FROM flights f
    JOIN results r ON r.flight = f.id
    GROUP BY f.batch_id
),
batch_rows AS MATERIALIZED (
    SELECT b.id FROM batches b JOIN batch_moves ON batch_moves.id = b.id ORDER BY b.id FOR UPDATE OF b
),
batch_counted AS (
    UPDATE batches b
    SET sent = b.sent + batch_moves.sent, failed = b.failed + batch_moves.failed,
        uncertain = b.uncertain + batch_moves.uncertain, released = b.released + batch_moves.released,
        finished_at = CASE WHEN b.sent + b.failed + b.uncertain + b.released + batch_moves.n >= b.processed
                           THEN batch_moves.at END
    FROM batch_moves
    JOIN batch_rows ON batch_rows.id = batch_moves.id
    WHERE b.id = batch_moves.id
)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM corrected) AS changed,
       (SELECT count(*) FROM flights WHERE fate = 'uncertain') AS uncertain,
       (SELECT count(*) FROM flights WHERE fate = 'unstarted') AS released
