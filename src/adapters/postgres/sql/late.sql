-- Late: a late definite answer corrects its own uncertain row. $2 day date[]: the days of the results, repeated as a
-- condition, so that only their partitions are planned and locked. Ninety days' partitions would take three entries of
-- the lock table each.
doubtful AS MATERIALIZED (
    SELECT l.id, l.day
    FROM logs l
    JOIN results r ON r.day = l.day AND r.flight = l.id AND r.message_id = l.message_id
    WHERE l.day = ANY ($2::date[])
      AND l.reason = 'uncertain'
      AND r.fate IN ('sent', 'refused')
      AND (SELECT count(*) FROM flights) >= 0
    ORDER BY l.id
    FOR UPDATE OF l
),
corrected AS (
    UPDATE logs l
    SET status = CASE WHEN r.fate <> 'sent' THEN 'FAILED' WHEN l.answers IS NULL THEN 'SENT' ELSE 'REPLIED' END,
        reason = CASE r.fate WHEN 'sent' THEN NULL ELSE r.reason END,
        at = r.at, smtp_code = r.smtp_code, enhanced_code = r.enhanced, latency_ms = r.latency_ms, notes = r.notes
    FROM results r
    JOIN doubtful ON doubtful.id = r.flight AND doubtful.day = r.day
    WHERE l.day = ANY ($2::date[]) AND l.day = r.day AND l.id = r.flight AND l.reason = 'uncertain'
    RETURNING l.mailbox_id, l.partner_id, l.day, l.message_id, l.subject, l.answers, r.flight, r.fate, r.batch, r.at
),
