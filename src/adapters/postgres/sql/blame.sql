-- Blame: decides which refusals count against a partner, and for which owners (domain/outcome/blame.rs). It follows
-- `results`, `flights` and `corrected`, and precedes the body. Only reads.
ends AS (
    SELECT flight, mailbox_id, partner_id, fate FROM (
        SELECT id AS flight, mailbox_id, partner_id, fate FROM flights
        UNION ALL
        SELECT flight, mailbox_id, partner_id, fate FROM corrected
    ) AS both_kinds
),
-- Through arrays, so that the planner reads mailboxes by key, whatever number it expects.
accusing AS MATERIALIZED (
    SELECT e.flight, e.mailbox_id, e.partner_id, r.day, r.at, COALESCE(r.reason, '') AS reason, r.smtp_code,
           r.partner_until AS said_until, r.domain_until
    FROM ends e JOIN results r ON r.flight = e.flight
    WHERE r.partner_until IS NOT NULL OR r.domain_until IS NOT NULL
),
accusers AS MATERIALIZED (
    SELECT id, user_id, domain, lower(smtp_host) AS name, smtp_port AS port, lower(smtp_host) || ':' || smtp_port AS host
    FROM mailboxes
    WHERE id = ANY (ARRAY(SELECT mailbox_id FROM accusing UNION SELECT partner_id FROM accusing))
),
-- A refusal without a reply is our own finding. Otherwise the reply comes from the partner's own host, from another
-- host of its owner, or from another owner's host.
blamed AS MATERIALIZED (
    SELECT a.flight, a.partner_id, a.day, a.at, a.reason, a.said_until, s.user_id, s.host, s.name, s.port,
           a.smtp_code IS NOT NULL AS is_told,
           a.smtp_code IS NULL OR p.user_id = s.user_id OR p.host = s.host AS is_own
    FROM accusing a
    JOIN accusers s ON s.id = a.mailbox_id
    JOIN accusers p ON p.id = a.partner_id
    WHERE a.said_until IS NOT NULL
),
voices AS MATERIALIZED (
    SELECT partner_id, user_id, at, said_until FROM blamed
    UNION ALL
    SELECT partner_id, user_id, at, said_until FROM partner_refusals
    WHERE partner_id = ANY (ARRAY(SELECT partner_id FROM blamed WHERE NOT is_own))
),
-- A refusal counts for all owners if it lasts more than an hour and comes from a sufficient source.
convicted AS MATERIALIZED (
    SELECT b.flight, b.partner_id, b.reason, b.at, CASE
               WHEN b.said_until < b.at + interval '1 hour' THEN NULL
               WHEN b.is_own THEN b.said_until
               ELSE (
                   SELECT LEAST(b.said_until, max(v.said_until)) FROM voices v
                   WHERE v.partner_id = b.partner_id AND v.user_id <> b.user_id AND v.said_until >= b.at + interval '1 hour'
                   HAVING count(*) > 0
               ) END AS receives_until
    FROM blamed b
),
-- Hosts that refuse more partners than they took mails for, per owner: counts only that owner's mails.
suspects AS MATERIALIZED (
    SELECT met.user_id, met.host, met.at, met.flight, refusals.n AS refused, taken.n AS taken
    FROM (
        SELECT user_id, host, name, port, max(at) AS at, min(flight) AS flight, max(day) AS day
        FROM blamed WHERE is_told AND said_until >= at + interval '24 hours'
        GROUP BY user_id, host, name, port
    ) AS met
    CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM (
            SELECT partner_id FROM blamed b
            WHERE b.user_id = met.user_id AND b.host = met.host AND b.is_told AND b.said_until >= b.at + interval '24 hours'
            UNION
            SELECT partner_id FROM partner_refusals r
            WHERE r.host = met.host AND r.user_id = met.user_id AND r.at > met.at - interval '24 hours'
              AND r.said_until >= r.at + interval '24 hours'
            LIMIT 1000
        ) AS each
    ) AS refusals
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum(d.sent), 0) + (
                   SELECT count(*) FROM ends e
                   WHERE e.fate = 'sent' AND e.mailbox_id IN (
                       SELECT m.id FROM mailboxes m
                       WHERE m.user_id = met.user_id AND lower(m.smtp_host) = met.name AND m.smtp_port = met.port LIMIT 1000
                   )
               ) AS n
        FROM (
            SELECT id FROM mailboxes m
            WHERE m.user_id = met.user_id AND lower(m.smtp_host) = met.name AND m.smtp_port = met.port
              AND refusals.n >= 5
            LIMIT 1000
        ) AS of_it
        JOIN mailbox_days d ON d.mailbox_id = of_it.id AND d.day BETWEEN met.day - 1 AND met.day + 1
    ) AS taken
    WHERE refusals.n >= 5 AND refusals.n > taken.n
),
