-- The one way in which a flight ends, whatever ended it: behind `results`, `flights` and `corrected`.
--
-- Locks in the order of the schema's head, each kind by key: in_flight, logs, mailbox_days, scheduled_replies, mailboxes,
-- pauses, user_days, batches. Postgres runs what nobody reads last to first, so each lock asks for the one before it (`count(*) >= 0`).
-- Repeatable: a flight that is gone and whose row is not uncertain is left alone.
gone AS (
    DELETE FROM in_flight USING flights WHERE in_flight.id = flights.id
    RETURNING in_flight.id
),
written AS (
    INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, reason,
                      smtp_code, enhanced_code, latency_ms, worker_id, notes, answers)
    SELECT f.id, r.at, f.day, f.mailbox_id, f.partner_id, f.sender, f.recipient, f.subject, f.message_id,
           CASE WHEN r.fate <> 'sent' THEN 'FAILED' WHEN f.answers IS NULL THEN 'SENT' ELSE 'REPLIED' END, r.reason, r.smtp_code, r.enhanced, r.latency_ms,
           f.worker_id, r.notes, f.answers
    FROM flights f
    JOIN results r ON r.flight = f.id
    WHERE r.fate <> 'unstarted'
),
unused AS (
    DELETE FROM pairs
    USING flights f
    WHERE f.fate = 'unstarted' AND f.answers IS NULL AND pairs.day = f.day AND pairs.mailbox_id = f.mailbox_id
      AND pairs.partner_id = f.partner_id AND pairs.round = f.round
),
-- A reply takes no place of the quota, so one that nobody knows the end of is a failed one in the counters: `uncertain` is
-- a part of `reserved`.
moves AS (
    SELECT mailbox_id, day, sum((mail AND fate = 'sent')::int)::int AS sent,
           sum((NOT mail AND fate = 'sent')::int)::int AS replied,
           sum((fate = 'refused')::int + (NOT mail AND fate = 'uncertain')::int - (NOT mail)::int * late)::int AS failed,
           sum((mail AND fate = 'uncertain')::int - mail::int * late)::int AS uncertain,
           sum((mail AND fate IN ('refused', 'unstarted'))::int)::int AS given_back,
           sum((NOT mail AND fate = 'unstarted')::int)::int AS replies_back,
           max(CASE WHEN fate <> 'unstarted' THEN next_at END) AS next_at,
           max(CASE WHEN mail AND fate = 'sent' THEN at END) AS sent_at
    FROM (
        SELECT mailbox_id, day, answers IS NULL AS mail, fate, 0 AS late, next_at, at FROM flights
        UNION ALL
        SELECT mailbox_id, day, answers IS NULL, fate, 1, NULL, at FROM corrected
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
        replied = d.replied + moves.replied,
        reply_attempts = d.reply_attempts - moves.replies_back,
        reserved = d.reserved - moves.given_back,
        next_at = GREATEST(d.next_at, moves.next_at),
        last_sent_at = GREATEST(d.last_sent_at, moves.sent_at)
    FROM moves
    JOIN days ON days.mailbox_id = moves.mailbox_id AND days.day = moves.day
    WHERE d.mailbox_id = moves.mailbox_id AND d.day = moves.day
),
-- The threads that these replies answer: one that was never started may be answered by another attempt, no other.
answering AS (
    SELECT e.answers AS id, e.fate, r.reason, e.at
    FROM (
        SELECT id AS flight, answers, fate, at FROM flights
        UNION ALL
        SELECT flight, answers, fate, at FROM corrected
    ) AS e
    JOIN results r ON r.flight = e.flight
    WHERE e.answers IS NOT NULL
),
threads AS MATERIALIZED (
    SELECT s.id
    FROM scheduled_replies s
    JOIN answering ON answering.id = s.id
    WHERE (SELECT count(*) FROM days) >= 0
    ORDER BY s.id
    FOR UPDATE OF s
),
answered AS (
    UPDATE scheduled_replies s
    SET state = CASE a.fate WHEN 'sent' THEN 'sent' WHEN 'unstarted' THEN 'waiting' ELSE 'failed' END,
        reason = CASE WHEN a.fate IN ('refused', 'uncertain') THEN a.reason END,
        ended_at = CASE WHEN a.fate <> 'unstarted' THEN a.at END
    FROM answering a
    JOIN threads ON threads.id = a.id
    WHERE s.id = a.id
),
-- What the dice asked for. Never an answer to an answer.
asked AS (
    INSERT INTO scheduled_replies (id, mailbox_id, partner_id, due_at, until, message_id, subject)
    SELECT e.flight, e.partner_id, e.mailbox_id, r.reply_due, r.reply_until, e.message_id, e.subject
    FROM (
        SELECT id AS flight, mailbox_id, partner_id, fate, answers, message_id, subject FROM flights
        UNION ALL
        SELECT flight, mailbox_id, partner_id, fate, answers, message_id, subject FROM corrected
    ) AS e
    JOIN results r ON r.flight = e.flight
    WHERE e.fate = 'sent' AND e.answers IS NULL AND r.reply_due IS NOT NULL
    ORDER BY e.flight
    ON CONFLICT DO NOTHING
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
    SELECT id, max(sends_until) AS sends_until, (array_agg(reason ORDER BY sends_until DESC NULLS LAST, flight))[1] AS sends_reason,
           max(receives_until) AS receives_until,
           (array_agg(reason ORDER BY receives_until DESC NULLS LAST, flight))[1] AS receives_reason, max(at) AS at
    FROM (
        SELECT e.mailbox_id AS id, r.sender_until AS sends_until, NULL::timestamptz AS receives_until, r.flight,
               COALESCE(r.reason, '') AS reason, r.at
        FROM ends e JOIN results r ON r.flight = e.flight WHERE r.sender_until IS NOT NULL
        UNION ALL
        SELECT e.partner_id, NULL, r.partner_until, r.flight, COALESCE(r.reason, ''), r.at
        FROM ends e JOIN results r ON r.flight = e.flight WHERE r.partner_until IS NOT NULL
    ) AS each
    GROUP BY id
),
-- Only what ends later than what is there changes anything: neither a disabling, nor the operator's own pause (one
-- without an end), nor a longer one is touched, and an event is told exactly when something changed.
boxes AS MATERIALIZED (
    SELECT marks.*,
           m.state IN ('active', 'paused') AND marks.sends_until IS NOT NULL
               AND (m.state = 'active' OR marks.sends_until = 'infinity' OR m.paused_until < marks.sends_until) IS TRUE
               AS stops,
           marks.receives_until IS NOT NULL AND (m.receives OR m.receive_until < marks.receives_until) IS TRUE AS excluded
    FROM mailboxes m
    JOIN marks ON marks.id = m.id
    WHERE (SELECT count(*) FROM threads) >= 0
    ORDER BY m.id
    FOR UPDATE OF m
),
marked AS (
    UPDATE mailboxes m
    SET state = CASE WHEN NOT stops THEN m.state WHEN sends_until = 'infinity' THEN 'disabled' ELSE 'paused' END,
        reason = CASE WHEN stops THEN sends_reason ELSE m.reason END,
        paused_until = CASE WHEN NOT stops THEN m.paused_until WHEN sends_until < 'infinity' THEN sends_until END,
        receives = m.receives AND NOT excluded,
        receive_reason = CASE WHEN excluded THEN receives_reason ELSE m.receive_reason END,
        receive_until = CASE WHEN NOT excluded THEN m.receive_until
                             WHEN receives_until < 'infinity' THEN receives_until END,
        changed_at = boxes.at
    FROM boxes
    WHERE m.id = boxes.id AND (stops OR excluded)
),
held AS (
    INSERT INTO pauses AS p (scope, key, reason, since, until)
    SELECT scope, key, (array_agg(reason ORDER BY until DESC, flight))[1], min(at), max(until)
    FROM (
        SELECT 'host' AS scope, lower(m.smtp_host) AS key, COALESCE(r.reason, '') AS reason, r.at, r.flight,
               r.host_until AS until
        FROM ends e JOIN results r ON r.flight = e.flight JOIN mailboxes m ON m.id = e.mailbox_id
        WHERE r.host_until IS NOT NULL
        UNION ALL
        SELECT 'domain', m.domain, COALESCE(r.reason, ''), r.at, r.flight, r.domain_until
        FROM ends e JOIN results r ON r.flight = e.flight JOIN mailboxes m ON m.id = e.mailbox_id
        WHERE r.domain_until IS NOT NULL
    ) AS each
    WHERE (SELECT count(*) FROM boxes) >= 0
    GROUP BY scope, key
    ORDER BY scope, key
    ON CONFLICT (scope, key) DO UPDATE SET
        reason = EXCLUDED.reason, until = EXCLUDED.until,
        since = CASE WHEN p.until < EXCLUDED.since THEN EXCLUDED.since ELSE p.since END
    WHERE p.until < EXCLUDED.until
    RETURNING p.scope, p.key, p.reason, p.until
),
told AS (
    INSERT INTO events (at, kind, mailbox_id, reason, detail)
    SELECT at, CASE sends_until WHEN 'infinity' THEN 'sender-disabled' ELSE 'sender-paused' END, id, sends_reason,
           CASE WHEN sends_until < 'infinity' THEN 'until ' || sends_until ELSE '' END
    FROM boxes
    WHERE stops
    UNION ALL
    SELECT at, CASE receives_until WHEN 'infinity' THEN 'partner-excluded' ELSE 'partner-paused' END, id,
           receives_reason, CASE WHEN receives_until < 'infinity' THEN 'until ' || receives_until ELSE '' END
    FROM boxes
    WHERE excluded
    UNION ALL
    SELECT (SELECT max(at) FROM results), held.scope || '-paused', NULL, held.reason, held.key || ' until ' || held.until
    FROM held
),
-- A late refusal gives nothing back to the user's day: whether it took a place there went with its flight. So a limit
-- errs on the side of fewer.
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
    WHERE (SELECT count(*) FROM held) >= 0
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
    SELECT id, sum((fate = 'sent')::int)::int AS sent, sum((fate = 'refused')::int)::int AS failed,
           sum((fate = 'uncertain')::int - late)::int AS uncertain, sum((fate = 'unstarted')::int)::int AS released,
           max(at) AS at
    FROM (
        SELECT batch_id AS id, fate, 0 AS late, at FROM flights
        UNION ALL
        SELECT batch, fate, 1, at FROM corrected
    ) AS each
    GROUP BY id
),
batch_rows AS MATERIALIZED (
    SELECT b.id
    FROM batches b
    JOIN batch_moves ON batch_moves.id = b.id
    WHERE (SELECT count(*) FROM user_rows) >= 0
    ORDER BY b.id
    FOR UPDATE OF b
),
batch_counted AS (
    UPDATE batches b
    SET sent = b.sent + m.sent, failed = b.failed + m.failed, uncertain = b.uncertain + m.uncertain,
        released = b.released + m.released,
        finished_at = COALESCE(b.finished_at, CASE
            WHEN b.sent + b.failed + b.uncertain + b.released + m.sent + m.failed + m.uncertain + m.released >= b.processed
            THEN m.at END)
    FROM batch_moves m
    JOIN batch_rows ON batch_rows.id = m.id
    WHERE b.id = m.id
)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM corrected) AS changed,
       (SELECT count(*) FROM flights WHERE fate = 'uncertain') AS uncertain,
       (SELECT count(*) FROM flights WHERE fate = 'unstarted') AS released
