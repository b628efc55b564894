-- Log lost: writes the row of each result that has neither a flight nor a row, because the database lost its record of
-- the mail. In one snapshot a reserved mail is in one of the two, unless its commit is gone.
--
-- $1 flight bigint[], $2 day date[], $3 fate text[], $4 at timestamptz[], $5 latency_ms int[],
-- $6 next_at timestamptz[], $7 reason text[], $8 smtp_code int[], $9 enhanced text[], $10 notes text[],
-- $11 message_id text[], $12 mailbox bigint[],
-- $13 partner bigint[], $14 user_id bigint[], $15 sender text[], $16 recipient text[], $17 subject text[],
-- $18 round int[], $19 answers bigint[], $20 thread text[]: the Message-ID of the mail that a reply answers,
-- $21 worker text, $22 now timestamptz,
-- $23 zone text[], $24 date[]: the zones whose date differs from UTC, and their dates
--
-- Locks late_mails, mailbox_days, scheduled_replies, user_days, received_days, each by key. Schedules no reply and
-- applies no penalty: the neighbouring mails are lost too, so a penalty would not rest on the whole evidence. Returns
-- the number of written rows.
WITH asked AS MATERIALIZED (
    SELECT *
    FROM unnest($1::bigint[], $2::date[], $3::text[], $4::timestamptz[], $5::int[], $6::timestamptz[], $7::text[],
                $8::int[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[],
                $16::text[], $17::text[], $18::int[], $19::bigint[], $20::text[])
        AS result (flight, day, fate, at, latency_ms, next_at, reason, smtp_code, enhanced, notes, message_id, mailbox_id,
                   partner_id, user_id, sender, recipient, subject, round, answers, thread)
),
lost AS MATERIALIZED (
    SELECT asked.*
    FROM asked
    WHERE fate <> 'unstarted'
      AND NOT EXISTS (SELECT FROM in_flight f WHERE f.message_id = asked.message_id)
      AND NOT EXISTS (
          SELECT FROM logs l
          WHERE l.day = ANY ($2::date[]) AND l.day = asked.day AND l.id = asked.flight AND l.message_id = asked.message_id
      )
),
noted AS (
    INSERT INTO late_mails (message_id, day, log_id, at)
    SELECT message_id, day, nextval('flight_ids'), $22::timestamptz FROM lost ORDER BY message_id
    ON CONFLICT DO NOTHING
    RETURNING message_id, log_id
),
mails AS MATERIALIZED (
    SELECT lost.*, noted.log_id, lost.answers IS NULL AS mail FROM lost JOIN noted ON noted.message_id = lost.message_id
),
moves AS (
    SELECT mailbox_id, day, sum((mail AND fate = 'sent')::int)::int AS sent,
           sum((NOT mail AND fate = 'sent')::int)::int AS replied,
           sum((fate = 'refused')::int + (NOT mail AND fate = 'uncertain')::int)::int AS failed,
           sum((mail AND fate = 'uncertain')::int)::int AS uncertain,
           sum(mail::int)::int AS attempts, sum((NOT mail)::int)::int AS reply_attempts, max(next_at) AS next_at,
           max(CASE WHEN mail AND fate = 'sent' THEN at END) AS sent_at
    FROM mails
    GROUP BY mailbox_id, day
),
days AS (
    INSERT INTO mailbox_days AS d (mailbox_id, day, quota, reserved, sent, replied, failed, uncertain, attempts,
                                   reply_attempts, next_at, last_sent_at)
    SELECT m.id, moves.day, LEAST(m.daily_max, m.ramp_start + m.grown::int * m.ramp_step), moves.sent + moves.uncertain,
           moves.sent, moves.replied, moves.failed, moves.uncertain, moves.attempts, moves.reply_attempts, moves.next_at,
           moves.sent_at
    FROM moves
    JOIN mailboxes m ON m.id = moves.mailbox_id
    ORDER BY m.id, moves.day
    ON CONFLICT (mailbox_id, day) DO UPDATE
    SET reserved = d.reserved + EXCLUDED.reserved, sent = d.sent + EXCLUDED.sent, replied = d.replied + EXCLUDED.replied,
        failed = d.failed + EXCLUDED.failed, uncertain = d.uncertain + EXCLUDED.uncertain,
        attempts = d.attempts + EXCLUDED.attempts, reply_attempts = d.reply_attempts + EXCLUDED.reply_attempts,
        next_at = GREATEST(d.next_at, EXCLUDED.next_at), last_sent_at = GREATEST(d.last_sent_at, EXCLUDED.last_sent_at)
    RETURNING d.mailbox_id
),
used AS (
    INSERT INTO pairs (day, mailbox_id, partner_id, round)
    SELECT day, mailbox_id, partner_id, round
    FROM mails
    WHERE mail AND (SELECT count(*) FROM days) >= 0
    ORDER BY day, mailbox_id, partner_id, round
    ON CONFLICT DO NOTHING
),
-- A thread that waits again must not be answered twice. Ids repeat in a database that lost some, so the Message-ID of
-- the answered mail identifies the thread. A claimed thread ends with the flight that claimed it.
threads AS MATERIALIZED (
    SELECT s.id, mails.message_id, mails.fate, mails.reason, mails.at
    FROM scheduled_replies s
    JOIN mails ON mails.answers = s.id AND mails.thread = s.message_id
    WHERE (SELECT count(*) FROM days) >= 0
    ORDER BY s.id
    FOR UPDATE OF s
),
answered AS (
    UPDATE scheduled_replies s
    SET state = CASE threads.fate WHEN 'sent' THEN 'sent' ELSE 'failed' END,
        reason = CASE WHEN threads.fate <> 'sent' THEN threads.reason END, ended_at = threads.at
    FROM threads
    WHERE s.id = threads.id AND s.state IN ('waiting', 'lapsed')
),
written AS (
    INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, reason,
                      smtp_code, enhanced_code, latency_ms, worker_id, notes, answers)
    SELECT m.log_id, m.at, m.day, m.mailbox_id, m.partner_id, m.sender, m.recipient, m.subject, m.message_id,
           CASE WHEN m.fate <> 'sent' THEN 'FAILED' WHEN m.mail THEN 'SENT' ELSE 'REPLIED' END, m.reason, m.smtp_code,
           m.enhanced, m.latency_ms, $21,
           concat_ws('; ', 'written late: the database had lost this mail', m.notes),
           -- A reply to a lost thread keeps only the fact that it was a reply.
           CASE WHEN NOT m.mail THEN COALESCE((SELECT id FROM threads WHERE threads.message_id = m.message_id), 0) END
    FROM mails m
),
user_moves AS (
    SELECT mails.user_id, mails.day, count(*)::int AS taken
    FROM mails
    JOIN users ON users.id = mails.user_id AND users.daily_limit IS NOT NULL
    WHERE mails.fate IN ('sent', 'uncertain')
    GROUP BY mails.user_id, mails.day
),
user_counted AS (
    INSERT INTO user_days AS ud (user_id, day, reserved)
    SELECT user_id, day, taken FROM user_moves WHERE (SELECT count(*) FROM threads) >= 0 ORDER BY user_id, day
    ON CONFLICT (user_id, day) DO UPDATE SET reserved = ud.reserved + EXCLUDED.reserved
    RETURNING ud.user_id
),
-- The partner has or may have received the mail: counted on its own today, the only day that a reserve checks.
received AS (
    INSERT INTO received_days AS rd (day, mailbox_id, received)
    SELECT COALESCE(elsewhere.day, ($22::timestamptz AT TIME ZONE 'UTC')::date), partner.id, count(*)
    FROM mails
    JOIN mailboxes partner ON partner.id = mails.partner_id
    LEFT JOIN unnest($23::text[], $24::date[]) AS elsewhere (zone, day) ON elsewhere.zone = partner.timezone
    WHERE mails.mail AND mails.fate IN ('sent', 'uncertain') AND (SELECT count(*) FROM user_counted) >= 0
    GROUP BY 1, 2
    ORDER BY 1, 2
    ON CONFLICT (day, mailbox_id) DO UPDATE SET received = rd.received + EXCLUDED.received
),
told AS (
    INSERT INTO events (at, kind, worker_id, reason, detail)
    SELECT $22::timestamptz, 'ledger-set-back', $21, 'set-back',
           'the database had lost ' || count(*) || ' mails of this worker: their log rows were written late'
    FROM mails
    HAVING count(*) > 0
)
SELECT count(*) AS written FROM mails
