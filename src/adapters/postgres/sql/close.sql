-- Close: ends in-flight mails, the common body of settle, release and sweep. It follows `results`, `flights` and
-- `corrected`.
--
-- Locks in the order of the schema's head, each kind by key: in_flight, logs, mailbox_days, scheduled_replies,
-- mailboxes, pauses, partner_refusals, owner_pauses, user_days, received_days, batches. Postgres runs unreferenced
-- parts from last to first, so each lock reads the part before it (`count(*) >= 0`).
-- Repeatable: a flight that is gone and whose row is not uncertain stays unchanged.
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
-- A reply takes no quota slot, so an uncertain reply counts as failed: the counter `uncertain` is a part of `reserved`.
moves AS (
    SELECT mailbox_id, day, sum((mail AND fate = 'sent')::int)::int AS sent,
           sum((NOT mail AND fate = 'sent')::int)::int AS replied,
           sum((fate = 'refused')::int + (NOT mail AND fate = 'uncertain')::int - (NOT mail)::int * late)::int AS failed,
           sum((mail AND fate = 'uncertain')::int - mail::int * late)::int AS uncertain,
           sum((mail AND fate IN ('refused', 'unstarted'))::int)::int AS given_back,
           sum((mail AND fate = 'unstarted')::int)::int AS attempts_back,
           sum((NOT mail AND fate = 'unstarted')::int)::int AS replies_back,
           max(CASE WHEN fate <> 'unstarted' THEN next_at END) AS next_at,
           max(CASE WHEN mail AND fate = 'sent' THEN at END) AS sent_at,
           date_trunc('hour', max(at), 'UTC') AS hour,
           COALESCE(sum(latency_ms) FILTER (WHERE mail AND fate = 'sent'), 0) AS latency_ms,
           (count(latency_ms) FILTER (WHERE mail AND fate = 'sent'))::int AS timed
    FROM (
        SELECT id AS flight, mailbox_id, day, answers IS NULL AS mail, fate, 0 AS late, next_at, at FROM flights
        UNION ALL
        SELECT flight, mailbox_id, day, answers IS NULL, fate, 1, NULL, at FROM corrected
    ) AS each
    LEFT JOIN (SELECT flight, latency_ms FROM results) AS took USING (flight)
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
        attempts = d.attempts - moves.attempts_back,
        reply_attempts = d.reply_attempts - moves.replies_back,
        reserved = d.reserved - moves.given_back,
        next_at = GREATEST(d.next_at, moves.next_at),
        last_sent_at = GREATEST(d.last_sent_at, moves.sent_at),
        failed_in_row = CASE WHEN moves.sent + moves.replied > 0 THEN 0
                             ELSE GREATEST(d.failed_in_row + moves.failed + moves.uncertain, 0) END,
        latency_ms = d.latency_ms + moves.latency_ms,
        timed = d.timed + moves.timed,
        hour = GREATEST(d.hour, moves.hour),
        hour_sent = CASE WHEN d.hour >= moves.hour THEN d.hour_sent + moves.sent ELSE moves.sent END,
        hour_before = CASE WHEN d.hour >= moves.hour THEN d.hour_before
                           WHEN d.hour = moves.hour - interval '1 hour' THEN d.hour_sent ELSE 0 END
    FROM moves
    JOIN days ON days.mailbox_id = moves.mailbox_id AND days.day = moves.day
    WHERE d.mailbox_id = moves.mailbox_id AND d.day = moves.day
),
-- The threads that these replies answer. Another attempt may answer a thread only if this reply was never started.
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
-- The replies that the random choice asked for. A reply never gets a reply.
asked AS (
    INSERT INTO scheduled_replies (id, mailbox_id, partner_id, due_at, until, message_id, subject, trace)
    SELECT e.flight, e.partner_id, e.mailbox_id, r.reply_due, r.reply_until, e.message_id, e.subject,
           r.trace
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
-- The effects on each mailbox. A mailbox can be the sender of one mail and the partner of another: one row, one update.
marks AS MATERIALIZED (
    SELECT id, max(sends_until) AS sends_until, max(receives_until) AS receives_until,
           (array_agg(reason ORDER BY sends_until DESC NULLS LAST, flight) FILTER (WHERE sends))[1] AS sends_reason,
           (array_agg(reason ORDER BY receives_until DESC NULLS LAST, flight) FILTER (WHERE NOT sends))[1] AS receives_reason,
           count(*) FILTER (WHERE mark = 'strike')::int AS strikes, count(*) FILTER (WHERE mark = 'ease')::int AS eases,
           max(at) AS at
    FROM (
        SELECT e.mailbox_id AS id, true AS sends, r.sender_until AS sends_until, NULL::timestamptz AS receives_until,
               r.flight, COALESCE(r.reason, '') AS reason, r.mark, r.at
        FROM ends e JOIN results r ON r.flight = e.flight
        WHERE r.sender_until IS NOT NULL OR r.mark IN ('strike', 'ease')
        UNION ALL
        SELECT partner_id, false, NULL, receives_until, flight, reason, NULL, at
        FROM convicted WHERE receives_until IS NOT NULL
    ) AS each
    GROUP BY id
),
-- Failures in a row (domain/outcome/refusals.rs), per sender: the failures since its last sent mail, and the last
-- failure. A sent mail ends a count; senders without a count are not locked for it. A mailbox has only one mail in
-- flight, so our snapshot shows the count, unless an answer comes late.
refused_senders AS MATERIALIZED (
    SELECT mailbox_id AS id, max(at) AS at, bool_or(fate = 'sent') AS is_taken,
           array_agg(at ORDER BY at, flight) FILTER (WHERE counts) AS times,
           array_agg(refused ORDER BY at, flight) FILTER (WHERE counts) AS targets,
           max(at) FILTER (WHERE refused IS NOT NULL) AS failed_at,
           (array_agg(reason ORDER BY at DESC, flight DESC) FILTER (WHERE refused IS NOT NULL))[1] AS failed_for,
           (array_agg(words ORDER BY at DESC, flight DESC) FILTER (WHERE refused IS NOT NULL))[1] AS words
    FROM (
        SELECT e.mailbox_id, e.flight, e.fate, r.at, r.refused, r.reason,
               r.refused IS NOT NULL AND (taken_at < r.at) IS NOT FALSE AS counts,
               concat_ws(' ', split_part(r.notes, ': ', 1) || ':', r.smtp_code, r.enhanced,
                         left(substr(r.notes, strpos(r.notes, ': ') + 2), 500)) AS words
        FROM (
            SELECT ends.*, max(results.at) FILTER (WHERE ends.fate = 'sent') OVER (PARTITION BY ends.mailbox_id) AS taken_at
            FROM ends JOIN results ON results.flight = ends.flight
        ) AS e
        JOIN results r ON r.flight = e.flight
    ) AS each
    GROUP BY mailbox_id
    HAVING bool_or(refused IS NOT NULL) OR mailbox_id IN (
        SELECT id FROM mailboxes m
        WHERE m.id = ANY (ARRAY(SELECT mailbox_id FROM ends WHERE ends.fate = 'sent')) AND (m.refusals > 0 OR m.failures > 0)
    )
),
-- The evidence about whole hosts, and about one owner's logins at one host, port and security: a row each. A failure
-- before AUTH pauses the owner's mailboxes at that port and security. The host counts it per port, security and owner.
-- A refusal before the last successful login has the mailbox's own cause; while the breaker is open, no refusal has.
said AS MATERIALIZED (
    SELECT heard.*, is_refused AND (last_in < at) IS NOT FALSE AS shut_out,
           stalled IS NOT NULL AND (stalled > answered_since) IS NOT FALSE AS stalls
    FROM (
        SELECT each.*, mark LIKE '%-breaker' IS TRUE AS is_refused,
               CASE WHEN NOT EXISTS (SELECT FROM pauses p WHERE p.scope = each.scope AND p.key = each.key AND p.probing)
                    THEN max(at) FILTER (WHERE let_in) OVER (PARTITION BY scope, key) END AS last_in,
               max(answered) OVER (PARTITION BY scope, key ORDER BY at DESC) AS answered_since
        FROM (
            SELECT 'host' AS scope, lower(m.smtp_host) AS key, lower(m.smtp_host) AS host, NULL::bigint AS user_id,
                   m.smtp_port AS port, m.smtp_security AS security, e.mailbox_id, r.flight, r.day, r.at,
                   CASE WHEN r.stalled IS NULL THEN r.reason ELSE r.mark END AS reason, NULL::timestamptz AS until, r.mark, r.let_in,
                   r.answered, r.stalled, (r.mark = 'host-failure') IS TRUE OR r.host_until IS NOT NULL AS fails,
                   concat_ws('/', m.smtp_port, m.smtp_security, m.user_id) AS counter
            FROM ends e JOIN results r ON r.flight = e.flight JOIN mailboxes m ON m.id = e.mailbox_id
            WHERE r.host_until IS NOT NULL OR r.mark = 'host-failure' OR r.mark LIKE '%-breaker' OR r.stalled IS NOT NULL
               OR r.answered IS NOT NULL OR r.let_in
            UNION ALL
            SELECT 'login', login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security), lower(m.smtp_host), m.user_id,
                   m.smtp_port, m.smtp_security, e.mailbox_id, r.flight, r.day, r.at, r.reason, r.host_until, r.mark, r.let_in, NULL, NULL,
                   (r.mark = 'host-failure') IS TRUE, NULL
            FROM ends e JOIN results r ON r.flight = e.flight JOIN mailboxes m ON m.id = e.mailbox_id
            WHERE r.host_until IS NOT NULL OR r.mark = 'host-failure' OR r.mark LIKE '%-breaker' OR r.let_in
        ) AS each
    ) AS heard
),
-- For each host or login that refused a login or did not answer: the mailboxes that tried lately, as many as can
-- matter, and the number of the host's mailboxes. Each of the two kinds is found by its own index.
neighbours AS MATERIALIZED (
    SELECT asked.scope, asked.key,
           ARRAY(
               SELECT m.id
               FROM (
                   (SELECT id, state FROM mailboxes
                    WHERE asked.scope = 'host' AND lower(smtp_host) = asked.host AND state <> 'removed' LIMIT 1000)
                   UNION ALL
                   (SELECT id, state FROM mailboxes
                    WHERE asked.scope = 'login' AND user_id = asked.user_id AND lower(smtp_host) = asked.host
                      AND smtp_port = asked.port AND smtp_security = asked.security AND state <> 'removed' LIMIT 1000)
               ) AS m
               WHERE m.state <> 'disabled'
                 AND EXISTS (
                     SELECT FROM mailbox_days d
                     WHERE d.mailbox_id = m.id AND d.day BETWEEN asked.day - 1 AND asked.day + 1
                       AND d.attempts + d.reply_attempts > 0
                 )
               LIMIT 200 * rules.refusals_most / rules.refused_share
           ) AS tried,
           (SELECT count(*) FROM (
               SELECT FROM mailboxes m
               WHERE asked.scope = 'host' AND lower(m.smtp_host) = asked.host AND m.state <> 'removed' AND m.state <> 'disabled'
               LIMIT rules.stalled_mailboxes + 1
           ) AS few) AS mailboxes,
           (SELECT count(DISTINCT few.user_id) FROM (
               SELECT m.user_id FROM mailboxes m
               WHERE asked.scope = 'host' AND lower(m.smtp_host) = asked.host AND m.state <> 'removed' AND m.state <> 'disabled'
               LIMIT 1000
           ) AS few) AS owners
    FROM (
        SELECT scope, key, max(host) AS host, max(user_id) AS user_id, max(port) AS port, max(security) AS security, max(day) AS day
        FROM said WHERE shut_out OR stalls GROUP BY scope, key
    ) AS asked, rules
),
pressed AS MATERIALIZED (
    SELECT whole.*, rules.*, COALESCE(n.tried, '{}') AS tried, COALESCE(n.mailboxes, 0) AS mailboxes,
           LEAST(COALESCE(n.owners, 1), 2) AS owners
    FROM (
        SELECT scope, key, COALESCE(min(at) FILTER (WHERE presses), min(at)) AS at, max(until) AS until,
               min(flight) FILTER (WHERE presses) AS flight,
               COALESCE((array_agg(mark ORDER BY flight) FILTER (WHERE shut_out))[1],
                        (array_agg(reason ORDER BY until DESC NULLS LAST, flight) FILTER (WHERE presses))[1], '') AS reason,
               CASE WHEN bool_or(let_in) OR max(until) IS NOT NULL THEN 0
                    ELSE LEAST(count(*) FILTER (WHERE scope = 'login' AND fails), 5) END AS failures,
               CASE WHEN bool_or(let_in) IS NOT TRUE THEN array_agg(counter) FILTER (WHERE scope = 'host' AND fails) END AS failing,
               COALESCE(jsonb_object_agg(mailbox_id, at) FILTER (WHERE shut_out), '{}') AS refused,
               COALESCE(jsonb_object_agg(mailbox_id, stalled) FILTER (WHERE stalls), '{}') AS stalled,
               count(*) FILTER (WHERE stalls) AS stalls,
               bool_or(let_in) IS TRUE AS let_in, max(last_in) AS last_in, max(answered) AS answered, max(user_id) AS user_id,
               max(host) AS host
        FROM (
            SELECT said.*, until IS NOT NULL OR shut_out OR stalls OR fails AS presses FROM said
        ) AS weighed
        GROUP BY scope, key
    ) AS whole
    CROSS JOIN rules
    LEFT JOIN neighbours n ON n.scope = whole.scope AND n.key = whole.key
),
-- The mailboxes that a breaker had disabled, if a login succeeded there now: from our snapshot, checked again under the
-- locks.
returning_ones AS MATERIALIZED (
    SELECT refused.key::bigint AS id, max(pressed.at) AS at
    FROM pauses p
    JOIN pressed ON pressed.scope = p.scope AND pressed.key = p.key AND pressed.let_in
    CROSS JOIN LATERAL jsonb_object_keys(p.refused) AS refused (key)
    WHERE p.probing AND p.until <= pressed.at
    GROUP BY refused.key
),
touched AS MATERIALIZED (
    SELECT id, sends_until, receives_until, sends_reason, receives_reason, strikes, eases, at FROM marks
    UNION ALL
    SELECT id, NULL, NULL, NULL, NULL, 0, 0, max(at) FROM (
        SELECT id, at FROM returning_ones UNION ALL SELECT id, at FROM refused_senders
    ) AS others
    WHERE id NOT IN (SELECT id FROM marks)
    GROUP BY id
),
-- These mailboxes as they are under our lock, each with its strikes before and after. Read through an array, so that
-- the planner uses the key, whatever number it expects.
boxes AS MATERIALIZED (
    SELECT marks.*, m.state, m.refusals, m.failures, m.reason AS stopped_for, lower(m.smtp_host) AS host,
           login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security) AS login, m.paused_until, m.receives, m.receive_until,
           m.eased_at, m.grown,
           LEAST(m.daily_max, m.ramp_start + m.grown::int * m.ramp_step) AS quota, m.ramp_start, m.ramp_step,
           CASE WHEN m.struck_at > marks.at - interval '24 hours' THEN m.strikes ELSE 0 END AS had,
           CASE WHEN m.struck_at > marks.at - interval '24 hours' THEN m.struck_at ELSE marks.at END AS first_strike
    FROM mailboxes m
    JOIN touched AS marks ON marks.id = m.id
    WHERE m.id = ANY (ARRAY(SELECT id FROM touched))
      AND (SELECT count(*) FROM threads) >= 0
    ORDER BY m.id
    FOR UPDATE OF m
),
-- An inserted row belongs to a host or login without a row before. `p` is the newest version of an existing row, also
-- if another statement wrote it since our snapshot: so no two statements count past the threshold of a breaker. Of the
-- refusals that open the breaker of a host, one owner contributes at most half. A bounded number per owner is stored.
held AS (
    INSERT INTO pauses AS p (scope, key, reason, since, until, flight, failures, refused, stalled, probing, user_id, failing, probes)
    SELECT scope, key, reason, at,
           GREATEST(at, until, CASE WHEN fails.n = 5 THEN at + interval '5 minutes' END,
                    CASE WHEN shuts.probing THEN at + interval '1 hour' END),
           flight, fails.n, shuts.refused, first.stalled, shuts.probing, user_id,
           CASE WHEN shared.by_several THEN '{}' ELSE shared.failing END, shuts.probing::int
    FROM pressed,
    LATERAL (
        SELECT COALESCE(jsonb_object_agg(id, step), '{}') AS stalled, count(*) AS n FROM (
            SELECT id, step FROM (
                SELECT key AS id, value AS step, row_number() OVER (
                    PARTITION BY (SELECT m.user_id FROM mailboxes m WHERE m.id = key::bigint) ORDER BY key::bigint
                ) AS of_owner
                FROM jsonb_each(pressed.stalled)
            ) AS by_owner
            ORDER BY of_owner, id::bigint
            LIMIT stalled_mailboxes
        ) AS few
    ) AS first,
    LATERAL (
        SELECT count(DISTINCT m.user_id) AS n FROM mailboxes m
        WHERE m.id = ANY (ARRAY(SELECT jsonb_object_keys(first.stalled)::bigint))
    ) AS blaming,
    LATERAL (
        SELECT COALESCE(jsonb_object_agg(counter, times), '{}') AS failing,
               COALESCE(bool_or(owners >= 2 AND times_in_all >= 5), false) AS by_several
        FROM (
            SELECT counter, times, count(*) OVER endpoint AS owners, sum(times) OVER endpoint AS times_in_all
            FROM (SELECT counter, LEAST(count(*), 5) AS times FROM unnest(pressed.failing) AS counter GROUP BY counter) AS by_owner
            WINDOW endpoint AS (PARTITION BY regexp_replace(counter, '/[0-9]+$', ''))
        ) AS by_endpoint
    ) AS shared,
    LATERAL (
        SELECT CASE WHEN shared.by_several OR first.n >= stalled_mailboxes AND blaming.n >= owners THEN 5
                    WHEN stalls > 0 AND first.n >= mailboxes THEN LEAST(failures + stalls, 5) ELSE failures END AS n
    ) AS fails,
    LATERAL (
        SELECT LEAST(GREATEST(ceil(count(*) * refused_share / 100.0), refusals_least), refusals_most) AS n
        FROM (SELECT unnest(tried) UNION SELECT jsonb_object_keys(pressed.refused)::bigint) AS all_of_them
    ) AS opens,
    LATERAL (
        SELECT COALESCE(jsonb_object_agg(mailbox_id, at), '{}') AS refused, COALESCE(bool_or(is_enough), false) AS probing FROM (
            SELECT *, row_number() OVER (PARTITION BY is_enough ORDER BY place) AS nth FROM (
                SELECT *, place >= opens.n AND (scope = 'login' OR place - max(of_owner) OVER (ORDER BY place) >= ceil(opens.n / 2))
                              AS is_enough
                FROM (
                    SELECT mailbox_id, at, row_number() OVER w AS place,
                           row_number() OVER (PARTITION BY owner ORDER BY (at #>> '{}')::timestamptz, mailbox_id::bigint) AS of_owner
                    FROM (
                        SELECT key AS mailbox_id, value AS at, (SELECT m.user_id FROM mailboxes m WHERE m.id = key::bigint) AS owner
                        FROM jsonb_each(pressed.refused)
                    ) AS all_of_them
                    WINDOW w AS (ORDER BY (at #>> '{}')::timestamptz, mailbox_id::bigint)
                ) AS by_owner
            ) AS in_turn
        ) AS first_few
        WHERE CASE WHEN is_enough THEN nth = 1 ELSE of_owner <= 10 * refusals_most END
    ) AS shuts
    WHERE (until IS NOT NULL OR fails.n > 0 OR pressed.refused <> '{}' OR pressed.stalled <> '{}' OR pressed.failing IS NOT NULL)
      AND (SELECT count(*) FROM boxes) >= 0
    ORDER BY scope, key
    ON CONFLICT (scope, key) DO UPDATE SET (reason, since, until, flight, failures, refused, stalled, probing, failing, probes) = (
        SELECT CASE WHEN later.until > p.until THEN new.reason ELSE p.reason END,
               CASE WHEN later.until > p.until AND NOT was.open THEN new.at ELSE p.since END,
               later.until,
               CASE WHEN later.until > p.until THEN new.flight ELSE p.flight END,
               fails.n, shuts.refused, silent.stalled, shuts.probing,
               CASE WHEN shared.by_several THEN '{}' ELSE shared.failing END, opening.probes
        FROM pressed AS new,
        LATERAL (SELECT p.until > new.at AS open) AS was,
        LATERAL (
            SELECT COALESCE(jsonb_object_agg(id, step), '{}') AS stalled, count(*) AS n FROM (
                -- The first mailbox of each owner comes before the second of any, so one owner's mailboxes displace no
                -- other owner's.
                SELECT id, step FROM (
                    SELECT id, step, rank, row_number() OVER (
                        PARTITION BY (SELECT m.user_id FROM mailboxes m WHERE m.id = all_of_them.id::bigint)
                        ORDER BY rank, id::bigint
                    ) AS of_owner
                    FROM (
                        SELECT key AS id, value AS step, 0 AS rank FROM jsonb_each(p.stalled)
                        WHERE (value::int > new.answered) IS NOT FALSE AND NOT new.stalled ? key
                        UNION ALL
                        SELECT key, value, 1 FROM jsonb_each(new.stalled)
                    ) AS all_of_them
                ) AS by_owner
                ORDER BY of_owner, rank, id::bigint
                LIMIT new.stalled_mailboxes
            ) AS first
        ) AS silent,
        LATERAL (
            SELECT count(DISTINCT m.user_id) AS n FROM mailboxes m
            WHERE m.id = ANY (ARRAY(SELECT jsonb_object_keys(silent.stalled)::bigint))
        ) AS blaming,
        -- Five failures at one port and security, of two owners, without a successful login since: the host pauses for
        -- all owners. Each further pause needs failures of two owners again. Failures during a pause do not count.
        LATERAL (
            SELECT COALESCE(jsonb_object_agg(counter, times), '{}') AS failing,
                   COALESCE(bool_or(is_new AND owners >= 2 AND (times_in_all >= 5 OR p.failures >= 5)), false) AS by_several
            FROM (
                SELECT *, count(*) OVER endpoint AS owners, sum(times) OVER endpoint AS times_in_all
                FROM (
                    SELECT counter, LEAST(sum(times), 5) AS times, bool_or(is_new) AS is_new
                    FROM (
                        SELECT key AS counter, value::int AS times, false AS is_new FROM jsonb_each(p.failing)
                        UNION ALL
                        SELECT counter, 1, true FROM unnest(new.failing) AS counter WHERE NOT was.open
                    ) AS all_of_them
                    GROUP BY counter
                ) AS by_owner
                WINDOW endpoint AS (PARTITION BY regexp_replace(counter, '/[0-9]+$', ''))
            ) AS by_endpoint
        ) AS shared,
        -- `stalled_mailboxes` mailboxes without an answer count as five failures, unless all belong to one user of a
        -- shared host. On a host with fewer mailboxes, each stall counts once all of them stalled.
        LATERAL (
            SELECT CASE WHEN shared.by_several THEN 5 WHEN new.stalls = 0 THEN new.failures
                        WHEN silent.n >= new.stalled_mailboxes AND blaming.n >= new.owners THEN 5
                        WHEN silent.n >= new.mailboxes THEN LEAST(new.failures + new.stalls, 5)
                        ELSE new.failures END AS n
        ) AS counted,
        LATERAL (
            -- Five failures start a pause; afterwards each failure outside a pause makes the next pause longer.
            SELECT CASE WHEN counted.n = 0 OR was.open THEN p.failures
                        WHEN p.failures >= 5 THEN LEAST(p.failures + 1, 7)
                        ELSE LEAST(p.failures + counted.n, 5) END AS n
        ) AS fails,
        -- The mailboxes refused since the last successful login: the earlier ones, then as many new ones as the breaker
        -- needs.
        LATERAL (
            SELECT COALESCE(jsonb_object_agg(key, COALESCE(new.refused -> key, value)), '{}') AS refused, count(*) AS n
            FROM (
                SELECT key, value
                FROM jsonb_each(p.refused)
                WHERE (value #>> '{}')::timestamptz > new.last_in IS NOT FALSE OR new.refused ? key
            ) AS still
        ) AS before,
        LATERAL (
            SELECT LEAST(GREATEST(ceil(count(*) * new.refused_share / 100.0), new.refusals_least), new.refusals_most) AS n
            FROM (
                SELECT unnest(new.tried)
                UNION SELECT jsonb_object_keys(before.refused)::bigint
                UNION SELECT jsonb_object_keys(new.refused)::bigint
            ) AS all_of_them
        ) AS opens,
        -- An earlier mailbox that is refused again comes after the other earlier ones: it too can open the breaker.
        LATERAL (
            SELECT CASE WHEN p.probing THEN p.refused ELSE COALESCE(jsonb_object_agg(mailbox_id, at), '{}') END AS refused,
                   p.probing OR COALESCE(bool_or(is_enough), false) AS probing
            FROM (
                SELECT *, row_number() OVER (PARTITION BY is_enough ORDER BY place) AS nth FROM (
                    SELECT *, rank > 0 AND place >= opens.n
                                  AND (new.scope = 'login' OR place - max(of_owner) OVER (ORDER BY place) >= ceil(opens.n / 2))
                                  AS is_enough
                    FROM (
                        SELECT mailbox_id, at, rank, row_number() OVER w AS place,
                               row_number() OVER (PARTITION BY owner ORDER BY rank, (at #>> '{}')::timestamptz, mailbox_id::bigint)
                                   AS of_owner
                        FROM (
                            SELECT mailbox_id, at, rank, (SELECT m.user_id FROM mailboxes m WHERE m.id = mailbox_id::bigint) AS owner
                            FROM (
                                SELECT key AS mailbox_id, value AS at, (new.refused ? key)::int AS rank FROM jsonb_each(before.refused)
                                UNION ALL
                                SELECT key, value, 2 FROM jsonb_each(new.refused) WHERE NOT before.refused ? key
                            ) AS both_kinds
                        ) AS all_of_them
                        WINDOW w AS (ORDER BY rank, (at #>> '{}')::timestamptz, mailbox_id::bigint)
                    ) AS by_owner
                ) AS in_turn
            ) AS first_few
            WHERE CASE WHEN is_enough THEN nth = 1 ELSE of_owner <= 10 * new.refusals_most END
        ) AS shuts,
        -- Each refused probe of an open breaker makes the next pause longer.
        LATERAL (
            SELECT again.is_longer, CASE WHEN NOT shuts.probing THEN 0 WHEN NOT p.probing THEN 1
                                         WHEN again.is_longer THEN LEAST(p.probes + 1, 3) ELSE p.probes END AS probes
            FROM (SELECT new.refused <> '{}' AND shuts.probing AND NOT (p.probing AND was.open) AS is_longer) AS again
        ) AS opening,
        LATERAL (
            SELECT GREATEST(p.until, new.until,
                CASE WHEN counted.n > 0 AND NOT was.open AND fails.n >= 5
                     THEN new.at + (ARRAY[5, 15, 60])[fails.n - 4] * interval '1 minute' END,
                CASE WHEN opening.is_longer
                     THEN new.at + (ARRAY[1, 4, 24])[opening.probes] * interval '1 hour' END) AS until
        ) AS later
        WHERE new.scope = p.scope AND new.key = p.key
    )
    WHERE p.until < EXCLUDED.until OR EXCLUDED.failures > 0 OR EXCLUDED.refused <> '{}' OR EXCLUDED.stalled <> '{}'
       OR EXCLUDED.failing <> '{}'
    RETURNING p.scope, p.key, p.reason, p.until, p.flight, p.failures, p.refused, p.probing, p.user_id
),
-- Hosts and logins that are down for all their mailboxes: paused for failures in a row, no successful login since, and
-- several mailboxes failed.
down AS MATERIALIZED (
    SELECT held.scope, held.key
    FROM held
    JOIN pressed ON pressed.scope = held.scope AND pressed.key = held.key
    WHERE held.failures >= 5
      AND (SELECT count(*) FROM (
              (SELECT m.id FROM mailboxes m
               WHERE held.scope = 'host' AND lower(m.smtp_host) = held.key AND m.failures > 0 AND m.state <> 'removed'
               LIMIT failing_mailboxes)
              UNION
              (SELECT m.id FROM mailboxes m
               WHERE held.scope = 'login' AND m.user_id = held.user_id AND lower(m.smtp_host) = pressed.host
                 AND login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security) = held.key
                 AND m.failures > 0 AND m.state <> 'removed'
               LIMIT failing_mailboxes)
              UNION
              (SELECT b.id FROM boxes b JOIN refused_senders s ON s.id = b.id AND 'host' = ANY (s.targets)
               WHERE held.key IN (b.host, b.login) LIMIT failing_mailboxes)
          ) AS failing) >= failing_mailboxes
),
-- Refused mailboxes that are not disabled: a breaker was open, or opens with this refusal. A mailbox must be left to
-- probe.
spared AS (
    SELECT said.mailbox_id
    FROM said
    JOIN held ON held.scope = said.scope AND held.key = said.key
    WHERE said.shut_out AND held.probing
      AND (to_jsonb(said.at) IS DISTINCT FROM held.refused -> said.mailbox_id::text
           OR held.probing AND said.flight = (
               SELECT last.flight FROM said AS last
               WHERE last.shut_out AND last.scope = held.scope AND last.key = held.key
                 AND to_jsonb(last.at) = held.refused -> last.mailbox_id::text
               ORDER BY last.at DESC, last.mailbox_id DESC LIMIT 1
           ))
),
-- A successful login ends the pause of its host, and an answer ends the stalls counted against it. A row that another
-- statement has locked is left to the next settlement: a wait here, after all other locks, could deadlock.
mending AS MATERIALIZED (
    SELECT p.scope, p.key, p.reason, p.user_id, pressed.at, pressed.let_in, pressed.last_in, pressed.answered,
           pressed.let_in AND (p.probing OR p.failures >= 5) AS ended,
           CASE WHEN pressed.let_in AND p.probing THEN p.refused ELSE '{}' END AS restored
    FROM pauses p
    JOIN pressed ON pressed.scope = p.scope AND pressed.key = p.key
    WHERE p.until <= pressed.at
      AND (pressed.let_in AND (p.failures > 0 OR p.probing OR p.refused <> '{}' OR p.failing <> '{}')
           OR EXISTS (SELECT FROM jsonb_each(p.stalled) WHERE value::int <= pressed.answered))
      AND pressed.failures = 0 AND pressed.refused = '{}' AND pressed.stalled = '{}' AND pressed.until IS NULL
      AND pressed.failing IS NULL
      AND (SELECT count(*) FROM held) >= 0
    FOR UPDATE OF p SKIP LOCKED
),
mended AS (
    UPDATE pauses p
    SET failures = CASE WHEN mending.let_in THEN 0 ELSE p.failures END,
        probing = p.probing AND NOT mending.let_in,
        probes = CASE WHEN mending.let_in THEN 0 ELSE p.probes END,
        failing = CASE WHEN mending.let_in THEN '{}' ELSE p.failing END,
        refused = (
            SELECT COALESCE(jsonb_object_agg(key, value), '{}') FROM jsonb_each(p.refused)
            WHERE NOT mending.let_in OR NOT p.probing AND (value #>> '{}')::timestamptz > mending.last_in
        ),
        stalled = (
            SELECT COALESCE(jsonb_object_agg(key, value), '{}') FROM jsonb_each(p.stalled)
            WHERE (value::int > mending.answered) IS NOT FALSE
        )
    FROM mending
    WHERE p.scope = mending.scope AND p.key = mending.key
),
-- The partners that a host refused: the host gets no more mail for them for a while, from any sender.
refusing AS (
    INSERT INTO partner_refusals AS p (partner_id, host, user_id, reason, at, until, said_until)
    SELECT partner_id, host, user_id, (array_agg(reason ORDER BY said_until DESC, flight))[1], max(at),
           max(LEAST(said_until, at + interval '72 hours')), max(said_until)
    FROM blamed
    WHERE is_told AND (SELECT count(*) FROM held) >= 0
    GROUP BY partner_id, host, user_id
    ORDER BY partner_id, host, user_id
    ON CONFLICT (partner_id, host, user_id) DO UPDATE
    SET reason = EXCLUDED.reason, at = EXCLUDED.at, until = GREATEST(p.until, EXCLUDED.until), said_until = EXCLUDED.said_until
    RETURNING p.partner_id, p.host, p.user_id, p.reason, p.at, p.until
),
-- Domains, and hosts that refuse most of their partners: they pause for their owner alone.
resting AS (
    INSERT INTO owner_pauses AS p (user_id, scope, key, reason, since, until, flight)
    SELECT user_id, scope, key, reason, at, until, flight FROM (
        SELECT s.user_id, 'domain' AS scope, s.domain AS key, (array_agg(a.reason ORDER BY a.domain_until DESC, a.flight))[1] AS reason,
               min(a.at) AS at, max(a.domain_until) AS until, min(a.flight) AS flight
        FROM accusing a JOIN accusers s ON s.id = a.mailbox_id
        WHERE a.domain_until IS NOT NULL
        GROUP BY s.user_id, s.domain
        UNION ALL
        SELECT user_id, 'host', host, 'refuses-partners', at, at + interval '1 hour', flight FROM suspects
    ) AS each
    WHERE (SELECT count(*) FROM refusing) >= 0
    ORDER BY user_id, scope, key
    ON CONFLICT (user_id, scope, key) DO UPDATE
    SET reason = EXCLUDED.reason, since = CASE WHEN p.until > EXCLUDED.since THEN p.since ELSE EXCLUDED.since END,
        until = CASE WHEN p.scope = 'domain' OR p.until < EXCLUDED.since - interval '24 hours' THEN EXCLUDED.until
                     WHEN p.times = 0 THEN EXCLUDED.since + interval '4 hours' ELSE EXCLUDED.since + interval '24 hours' END,
        flight = EXCLUDED.flight,
        times = CASE WHEN p.scope = 'domain' OR p.until < EXCLUDED.since - interval '24 hours' THEN 0 ELSE LEAST(p.times + 1, 2) END
    -- Mails in flight at the beginning of a host's pause do not lengthen it.
    WHERE CASE p.scope WHEN 'host' THEN p.until <= EXCLUDED.since ELSE p.until < EXCLUDED.until END
    RETURNING p.user_id, p.scope, p.key, p.reason, p.until, p.flight
),
-- An owner gets only the owner's own events; only admins get the event that a host refused another user's mailbox.
owners_told AS (
    INSERT INTO events (at, kind, user_id, reason, detail)
    SELECT a.at, 'domain-paused', r.user_id, r.reason, r.key || ' until ' || r.until
    FROM resting r JOIN accusing a ON a.flight = r.flight WHERE r.scope = 'domain'
    UNION ALL
    SELECT s.at, 'host-suspected', r.user_id, r.reason,
           format('%s refused %s partners and took %s mails: nothing is sent there until %s', r.key, s.refused, s.taken, r.until)
    FROM resting r JOIN suspects s ON s.user_id = r.user_id AND s.host = r.key WHERE r.scope = 'host'
    UNION ALL
    SELECT r.at, 'partner-avoided', NULL, r.reason,
           format('%s refuses mailbox %s: it gets no more mail for it until %s', r.host, r.partner_id, r.until)
    FROM refusing r
    WHERE r.until >= r.at + interval '1 hour'
      AND EXISTS (SELECT FROM blamed b WHERE b.partner_id = r.partner_id AND b.host = r.host AND b.user_id = r.user_id AND NOT b.is_own)
    RETURNING kind, reason, detail
),
-- Only an end later than the present one changes anything: a disabling, the operator's own pause (without an end) and a
-- longer pause stay unchanged. An event is written exactly when something changed.
rulings AS MATERIALIZED (
    SELECT b.id, b.at, b.receives_reason, b.receives_until, rested.until AS sends_until, b.quota,
           CASE WHEN repeated.failed_until > GREATEST(repeated.refused_until, own.until, '-infinity') THEN 'failed-in-a-row'
                WHEN repeated.refused_until > COALESCE(own.until, '-infinity') THEN 'refused-in-a-row'
                ELSE b.sends_reason END AS sends_reason,
           LEAST(GREATEST(repeated.refusals, counted.refusals), 1000) AS refusals,
           LEAST(GREATEST(repeated.failures, counted.failures, CASE WHEN repeated.is_excused THEN 1 END), 1000) AS failures,
           s.failed_at, s.failed_for, s.words,
           CASE WHEN had + strikes >= 6 THEN 0 ELSE had + strikes END AS strikes,
           CASE WHEN had + strikes BETWEEN 1 AND 5 THEN first_strike END AS struck_at,
           b.state IN ('active', 'paused') AND rested.until IS NOT NULL
               AND (b.state = 'active' OR rested.until = 'infinity' OR b.paused_until < rested.until) IS TRUE AS stops,
           b.receives_until IS NOT NULL AND (b.receives OR b.receive_until < b.receives_until) IS TRUE AS excluded,
           half.grown < b.grown AND (b.eased_at <= b.at - interval '24 hours') IS NOT FALSE
               AND (eases > 0 OR (had < 3 AND had + strikes >= 3)) AS eased,
           half.grown AS eased_to, b.stopped_for,
           b.state = 'disabled' AND EXISTS (
               SELECT FROM mending WHERE mending.key IN (b.host, b.login) AND mending.restored ? b.id::text
           ) AS returns
    FROM boxes b
    CROSS JOIN rules
    LEFT JOIN refused_senders s ON s.id = b.id
    CROSS JOIN LATERAL (
        SELECT GREATEST(CASE WHEN NOT EXISTS (SELECT FROM spared WHERE spared.mailbox_id = b.id) THEN b.sends_until END,
                        CASE WHEN had + strikes >= 6 AND strikes > 0 THEN b.at + interval '24 hours' END) AS until
    ) AS own
    CROSS JOIN LATERAL (
        SELECT CASE WHEN s.is_taken THEN 0 ELSE b.refusals END AS refusals, CASE WHEN s.is_taken THEN 0 ELSE b.failures END AS failures
    ) AS counted
    CROSS JOIN LATERAL (
        SELECT max(nth.refusals) AS refusals, max(nth.failures) AS failures, bool_or(nth.is_excused) AS is_excused,
               max(nth.at + make_interval(mins => pause.for_refusals)) FILTER (WHERE pause.for_refusals > 0) AS refused_until,
               max(nth.at + make_interval(mins => pause.for_failures)) FILTER (WHERE pause.for_failures > 0) AS failed_until
        FROM (
            SELECT failure.at, failure.target, failure.is_excused,
                   counted.refusals + count(*) FILTER (WHERE failure.target IN ('sender', 'pair')) OVER (ORDER BY failure.n) AS refusals,
                   counted.failures + count(*) FILTER (WHERE NOT failure.is_excused) OVER (ORDER BY failure.n) AS failures
            FROM (
                SELECT at, target, n, target = 'host' AND EXISTS (SELECT FROM down WHERE down.key IN (b.host, b.login)) AS is_excused
                FROM unnest(s.times, s.targets) WITH ORDINALITY AS each (at, target, n)
            ) AS failure
        ) AS nth
        CROSS JOIN LATERAL (
            SELECT CASE nth.target
                       WHEN 'sender' THEN sender_pauses[LEAST(nth.refusals, cardinality(sender_pauses))]
                       WHEN 'pair' THEN pair_pauses[LEAST(nth.refusals, cardinality(pair_pauses))] END AS for_refusals,
                   CASE WHEN NOT nth.is_excused AND (nth.target = 'host' OR nth.failures >= cardinality(host_pauses))
                        THEN host_pauses[LEAST(nth.failures, cardinality(host_pauses))] END AS for_failures
        ) AS pause
    ) AS repeated
    CROSS JOIN LATERAL (SELECT GREATEST(own.until, repeated.refused_until, repeated.failed_until) AS until) AS rested
    CROSS JOIN LATERAL (
        SELECT CASE WHEN ramp_step > 0 THEN GREATEST(0, ((quota + 1) / 2 - ramp_start) / ramp_step) ELSE b.grown END AS grown
    ) AS half
),
marked AS (
    UPDATE mailboxes m
    SET state = CASE WHEN returns THEN 'active' WHEN NOT stops THEN m.state
                     WHEN sends_until = 'infinity' THEN 'disabled' ELSE 'paused' END,
        reason = CASE WHEN stops THEN sends_reason WHEN NOT returns THEN m.reason END,
        paused_until = CASE WHEN NOT stops THEN m.paused_until WHEN sends_until < 'infinity' THEN sends_until END,
        receives = m.receives AND NOT excluded,
        receive_reason = CASE WHEN excluded THEN receives_reason ELSE m.receive_reason END,
        receive_until = CASE WHEN NOT excluded THEN m.receive_until
                             WHEN receives_until < 'infinity' THEN receives_until END,
        strikes = r.strikes, struck_at = r.struck_at, refusals = r.refusals, failures = r.failures,
        refused_at = COALESCE(r.failed_at, m.refused_at),
        refused_reason = CASE WHEN r.failed_at IS NULL THEN m.refused_reason ELSE r.failed_for END,
        refused_words = CASE WHEN r.failed_at IS NULL THEN m.refused_words ELSE r.words END,
        grown = CASE WHEN eased THEN eased_to ELSE m.grown END,
        eased_at = CASE WHEN eased THEN r.at ELSE m.eased_at END,
        changed_at = CASE WHEN stops OR excluded OR eased OR returns THEN r.at ELSE m.changed_at END
    FROM rulings r
    WHERE m.id = r.id
      AND (stops OR excluded OR eased OR returns OR r.failed_at IS NOT NULL
           OR (m.strikes, m.struck_at, m.refusals, m.failures) IS DISTINCT FROM (r.strikes, r.struck_at, r.refusals, r.failures))
),
-- One alert per hour for each owner, host and reason.
alerts AS (
    SELECT DISTINCT ON (m.user_id, lower(m.smtp_host), r.reason) r.reason, e.mailbox_id, r.at, COALESCE(left(r.notes, 500), '') AS notes
    FROM ends e
    JOIN results r ON r.flight = e.flight
    JOIN mailboxes m ON m.id = e.mailbox_id
    WHERE r.mark IN ('alert', 'host-refuses-us')
      AND NOT EXISTS (
          SELECT FROM events t
          JOIN mailboxes told_of ON told_of.id = t.mailbox_id
          WHERE t.kind = 'mail-alert' AND t.reason = r.reason AND t.at > r.at - interval '1 hour'
            AND told_of.user_id = m.user_id AND lower(told_of.smtp_host) = lower(m.smtp_host)
      )
    ORDER BY m.user_id, lower(m.smtp_host), r.reason, r.flight
),
told AS (
    INSERT INTO events (at, kind, mailbox_id, user_id, reason, detail)
    SELECT at, CASE sends_until WHEN 'infinity' THEN 'sender-disabled' ELSE 'sender-paused' END, id, NULL::bigint, sends_reason,
           concat_ws('; ', CASE WHEN sends_until < 'infinity' THEN 'until ' || sends_until END,
                     CASE sends_reason WHEN 'refused-in-a-row' THEN refusals || ' refusals in a row'
                                       WHEN 'failed-in-a-row' THEN failures || ' failures in a row' END,
                     'last result: ' || NULLIF(concat_ws(', ', NULLIF(failed_for, sends_reason), NULLIF(words, '')), ''))
    FROM rulings
    WHERE stops
    UNION ALL
    SELECT at, 'sender-eased', id, NULL, sends_reason, 'its ramp goes on from half of ' || quota || ' a day' FROM rulings WHERE eased
    UNION ALL
    SELECT at, CASE receives_until WHEN 'infinity' THEN 'partner-excluded' ELSE 'partner-paused' END, id, NULL,
           receives_reason, CASE WHEN receives_until < 'infinity' THEN 'until ' || receives_until ELSE '' END
    FROM rulings
    WHERE excluded
    UNION ALL
    SELECT at, 'sender-restored', id, NULL, stopped_for, 'its mail host lets mailboxes in again' FROM rulings WHERE returns
    UNION ALL
    SELECT pressed.at, 'host-paused', NULL, held.user_id, held.reason, regexp_replace(held.key, '^[0-9]+/', '')
               || ' until ' || held.until || CASE WHEN held.probing THEN ', then one mailbox at a time' ELSE '' END
    FROM held
    JOIN pressed ON pressed.scope = held.scope AND pressed.key = held.key
    WHERE held.flight = pressed.flight AND held.until > pressed.at
    UNION ALL
    SELECT at, 'host-recovered', NULL, user_id, 'let-in', regexp_replace(key, '^[0-9]+/', '') || ' after ' || reason
    FROM mending WHERE ended
    UNION ALL
    SELECT at, 'mail-alert', mailbox_id, NULL, reason, notes FROM alerts
    UNION ALL
    SELECT r.at, 'result-reduced', e.mailbox_id, NULL, COALESCE(r.reason, r.fate), COALESCE(r.notes, '')
    FROM ends e JOIN results r ON r.flight = e.flight WHERE r.mark = 'reduced'
    RETURNING at, kind, mailbox_id, reason, detail, user_id
),
-- A late refusal returns no slot of the user's day, because the record of that slot was deleted with its flight. So a
-- limit errs on the side of fewer mails.
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
    WHERE (SELECT count(*) FROM resting) >= 0
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
-- A mail that definitely did not arrive does not count for its partner. A late refusal still counts: its flight is
-- gone.
receive_moves AS (
    SELECT partner_day, partner_id, count(*)::int AS given_back
    FROM flights
    WHERE partner_day IS NOT NULL AND fate IN ('refused', 'unstarted')
    GROUP BY partner_day, partner_id
),
receive_rows AS MATERIALIZED (
    SELECT rd.day, rd.mailbox_id
    FROM received_days rd
    JOIN receive_moves ON receive_moves.partner_day = rd.day AND receive_moves.partner_id = rd.mailbox_id
    WHERE (SELECT count(*) FROM user_rows) >= 0
    ORDER BY rd.day, rd.mailbox_id
    FOR UPDATE OF rd
),
receive_counted AS (
    UPDATE received_days rd
    SET received = rd.received - receive_moves.given_back
    FROM receive_moves
    JOIN receive_rows ON receive_rows.day = receive_moves.partner_day AND receive_rows.mailbox_id = receive_moves.partner_id
    WHERE rd.day = receive_moves.partner_day AND rd.mailbox_id = receive_moves.partner_id
),
batch_moves AS (
    SELECT id, sum((fate = 'sent')::int)::int AS sent, sum((fate = 'sent' AND answers IS NOT NULL)::int)::int AS replied,
           sum((fate = 'refused')::int)::int AS failed,
           sum((fate = 'uncertain')::int - late)::int AS uncertain, sum((fate = 'unstarted')::int)::int AS released,
           max(at) AS at
    FROM (
        SELECT batch_id AS id, fate, answers, 0 AS late, at FROM flights
        UNION ALL
        SELECT batch, fate, answers, 1, at FROM corrected
    ) AS each
    GROUP BY id
),
batch_rows AS MATERIALIZED (
    SELECT b.id
    FROM batches b
    JOIN batch_moves ON batch_moves.id = b.id
    WHERE (SELECT count(*) FROM receive_rows) >= 0
    ORDER BY b.id
    FOR UPDATE OF b
),
batch_counted AS (
    UPDATE batches b
    SET sent = b.sent + m.sent, replied = b.replied + m.replied, failed = b.failed + m.failed, uncertain = b.uncertain + m.uncertain,
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
       (SELECT count(*) FROM flights WHERE fate = 'unstarted') AS released,
       ARRAY(SELECT kind || ': ' || detail || ' (' || reason || COALESCE(', user ' || user_id, '') || ')' FROM told
             WHERE kind IN ('host-paused', 'host-recovered'))
       || ARRAY(SELECT kind || ': ' || detail || ' (' || reason || ')' FROM owners_told)
       -- Each disabled mailbox, and the first refusal of its kind within a day.
       || ARRAY(SELECT format('%s: mailbox %s, %s (%s)', kind, mailbox_id, detail, reason) FROM (
              SELECT told.*, row_number() OVER (PARTITION BY kind, reason ORDER BY mailbox_id) AS place FROM told
              WHERE kind IN ('sender-disabled', 'sender-paused', 'mail-alert')
          ) AS stopped
          WHERE kind = 'sender-disabled' OR place = 1 AND NOT EXISTS (
              SELECT FROM events t
              WHERE t.kind = stopped.kind AND t.reason = stopped.reason AND t.at > stopped.at - interval '24 hours'
          )) AS warnings
