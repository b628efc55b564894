-- Reserve: takes a quota slot, a pair and a flight for each mail that may go; for a reply, its thread instead of slot
-- and pair. One statement, one transaction. Locks shards, mailbox_days, scheduled_replies, user_days, received_days,
-- each by key.
--
-- $1 worker text, $2 run uuid, $3 now timestamptz (day clock)
-- $4 shards int[], $5 epochs bigint[]: the shards that this worker owns
-- $6 n int[] (place in the batch, from 0), $7 mailbox bigint[], $8 shard int[], $9 day date[], $10 attempts int[],
-- $11 message_id text[], $12 subject text[]: the requests, in order of urgency
-- $13 n int[], $14 partner bigint[], $15 round int[]: the partner options of each request, best first
-- $16 user_daily_cap float8: the factor by which a user's own limit may be exceeded
-- $17 answers bigint[]: the scheduled replies of the requests, NULL for mails
-- $18 zone text[], $19 date[]: the zones whose date differs from UTC, and their dates
-- $20 int: the number of mails that a mailbox may receive on its own day beyond its quota
-- Returns a row per request: n, either the flight or `refusal`, and whether a refused mail has taken a slot in its
-- user's day.
WITH asks AS MATERIALIZED (
    SELECT * FROM unnest($6::int[], $7::bigint[], $8::int[], $9::date[], $10::int[], $11::text[], $12::text[],
                         $17::bigint[])
        AS ask (n, mailbox_id, shard, day, attempts, message_id, subject, answers)
),
choices AS MATERIALIZED (
    SELECT * FROM unnest($13::int[], $14::bigint[], $15::int[]) WITH ORDINALITY
        AS choice (n, partner_id, round, rank)
),
-- The fence: this excludes a shard with an outdated epoch, and locks the others, so no epoch can rise until we commit.
owned AS MATERIALIZED (
    SELECT shards.shard, shards.epoch
    FROM shards
    JOIN unnest($4::int[], $5::bigint[]) AS mine (shard, epoch) ON shards.shard = mine.shard AND shards.epoch = mine.epoch
    ORDER BY shards.shard
    FOR SHARE OF shards
),
senders AS MATERIALIZED (
    SELECT m.id, m.user_id, m.domain, m.email, m.display_name, m.smtp_host, m.smtp_port, m.smtp_security, m.username,
           m.sealed_password, m.shard, m.verified_by IS NOT NULL AS verified, lower(m.smtp_host) || ':' || m.smtp_port AS host,
           LEAST(m.daily_max, m.ramp_start + m.grown::int * m.ramp_step) AS quota,
           m.enabled
               AND (m.state = 'active' OR (m.state = 'paused' AND m.paused_until <= $3))
               AND NOT EXISTS (
                   SELECT FROM pauses p
                   WHERE p.until > $3
                     AND (p.scope = 'host' AND p.key = lower(m.smtp_host)
                          OR p.scope = 'login' AND p.key = login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security))
               )
               AND NOT EXISTS (
                   SELECT FROM owner_pauses p
                   WHERE p.until > $3 AND p.user_id = m.user_id
                     AND ((p.scope = 'host' AND p.key = lower(m.smtp_host) || ':' || m.smtp_port)
                          OR (p.scope = 'domain' AND p.key = m.domain))
               ) AS active
    FROM mailboxes m
    WHERE m.id = ANY ($7::bigint[])
),
-- Postgres checks the conditions again on the newest version of each row, once we hold its lock.
days AS MATERIALIZED (
    SELECT d.mailbox_id, d.day, asks.n, asks.answers, senders.quota, senders.user_id, senders.verified,
           senders.host
    FROM asks
    JOIN owned ON owned.shard = asks.shard
    JOIN senders ON senders.id = asks.mailbox_id AND senders.shard = asks.shard AND senders.active
    JOIN mailbox_days d ON d.mailbox_id = asks.mailbox_id AND d.day = asks.day
    WHERE (SELECT running FROM fleet_orders)
      -- Not before all shards are locked.
      AND (SELECT count(*) FROM owned) >= 0
      AND NOT d.closed
      AND CASE WHEN asks.answers IS NULL
          THEN d.reserved < senders.quota AND d.attempts = asks.attempts AND d.attempts < 2 * senders.quota
          ELSE d.reply_attempts < (senders.quota + 1) / 2
      END
      AND (d.next_at IS NULL OR d.next_at <= $3)
      AND NOT EXISTS (SELECT FROM in_flight f WHERE f.mailbox_id = asks.mailbox_id)
      AND NOT EXISTS (
          SELECT FROM mailbox_days eve
          WHERE eve.mailbox_id = asks.mailbox_id AND eve.day = asks.day - 1 AND eve.next_at > $3
      )
    ORDER BY d.mailbox_id, d.day
    FOR UPDATE OF d
),
-- The threads of the replies, without those that another transaction claimed before us.
threads AS MATERIALIZED (
    SELECT s.id
    FROM scheduled_replies s
    JOIN asks ON asks.answers = s.id AND asks.mailbox_id = s.mailbox_id
    JOIN owned ON owned.shard = asks.shard
    WHERE s.state = 'waiting' AND s.due_at <= $3 AND s.until > $3
      -- Not before all days are locked.
      AND (SELECT count(*) FROM days) >= 0
    ORDER BY s.id
    FOR UPDATE OF s
),
elsewhere AS MATERIALIZED (
    SELECT * FROM unnest($18::text[], $19::date[]) AS elsewhere (zone, day)
),
-- No other statement uses a pair of a day that this one has locked. A reserve that committed after our snapshot raised
-- `attempts`. Only its release lowers `attempts` again, and deletes the pair with it. A mail that is in flight in our
-- snapshot refuses the request above. So equal `attempts` mean that `pairs` is as our snapshot shows it.
-- A partner that is full on its own day is taken only if all other options are full too; the request is then refused
-- for that reason.
chosen AS MATERIALIZED (
    SELECT DISTINCT ON (days.n) days.n, days.mailbox_id, days.day, days.quota, days.answers, days.user_id,
           partner.id AS partner_id, choices.round, partner.email AS recipient, partner.display_name AS recipient_name,
           partner.reply_rate, partner.timezone AS reply_zone, partner.days AS reply_days,
           CASE WHEN days.answers IS NULL THEN own.day END AS partner_day, own.most, own.most - seats.taken AS room
    FROM days
    JOIN choices ON choices.n = days.n
    JOIN mailboxes partner ON partner.id = choices.partner_id
    LEFT JOIN elsewhere ON elsewhere.zone = partner.timezone
    CROSS JOIN LATERAL (
        SELECT COALESCE(elsewhere.day, ($3 AT TIME ZONE 'UTC')::date) AS day,
               LEAST(partner.daily_max, partner.ramp_start + partner.grown::int * partner.ramp_step) + $20::int AS most
    ) AS own
    -- A scalar, so that the row is looked up by its whole key.
    CROSS JOIN LATERAL (
        SELECT COALESCE((SELECT rd.received FROM received_days rd
                         WHERE rd.day = own.day AND rd.mailbox_id = choices.partner_id), 0) AS taken
    ) AS seats
    WHERE partner.id <> days.mailbox_id
      AND partner.enabled
      AND (partner.state = 'active' OR (partner.state = 'paused' AND partner.paused_until <= $3))
      AND (partner.receives OR partner.receive_until <= $3)
      -- Mailboxes of two owners exchange mails only if both are verified.
      AND (partner.user_id = days.user_id OR (days.verified AND partner.verified_by IS NOT NULL))
      -- Excludes a partner that the sender's host has refused. A scalar, so that the row is looked up by its key.
      AND COALESCE((SELECT max(r.until) FROM partner_refusals r
                    WHERE r.partner_id = choices.partner_id AND r.host = days.host), '-infinity') <= $3
      AND (days.answers IS NULL OR days.answers IN (SELECT id FROM threads))
      -- OR, so that the pair is looked up by its whole key; a join would read all pairs of the day for each option.
      AND (days.answers IS NOT NULL OR NOT EXISTS (
          SELECT FROM pairs
          WHERE pairs.day = days.day AND pairs.mailbox_id = days.mailbox_id
            AND pairs.partner_id = choices.partner_id AND pairs.round = choices.round
      ))
    ORDER BY days.n, days.answers IS NULL AND own.most <= seats.taken, choices.rank
),
-- If one partner gets several mails, the most urgent ones fit.
seated AS MATERIALIZED (
    SELECT * FROM (
        SELECT chosen.*, row_number() OVER (PARTITION BY chosen.partner_day, chosen.partner_id ORDER BY chosen.n) AS seat
        FROM chosen
    ) AS ranked
    WHERE partner_day IS NULL OR seat <= room
),
limits AS (
    SELECT id, LEAST(floor(daily_limit * $16::float8), 2147483647)::int AS most
    FROM users
    WHERE daily_limit IS NOT NULL AND id IN (SELECT user_id FROM senders)
),
-- The number of a user's mails that still fit into its day; the row is locked and raised in one step.
user_grants AS (
    INSERT INTO user_days AS ud (user_id, day, reserved, granted, reached_at)
    SELECT seated.user_id, seated.day, LEAST(count(*), limits.most), LEAST(count(*), limits.most),
           CASE WHEN count(*) >= limits.most THEN now() END
    FROM seated
    JOIN limits ON limits.id = seated.user_id
    GROUP BY seated.user_id, seated.day, limits.most
    ORDER BY seated.user_id, seated.day
    ON CONFLICT (user_id, day) DO UPDATE SET
        granted = GREATEST(0, LEAST(EXCLUDED.granted, (SELECT most FROM limits WHERE id = ud.user_id) - ud.reserved)),
        reserved = ud.reserved
            + GREATEST(0, LEAST(EXCLUDED.granted, (SELECT most FROM limits WHERE id = ud.user_id) - ud.reserved)),
        reached_at = COALESCE(ud.reached_at, CASE
            WHEN ud.reserved + EXCLUDED.granted >= (SELECT most FROM limits WHERE id = ud.user_id) THEN now() END)
    RETURNING ud.user_id, ud.day, ud.granted, ud.reached_at
),
-- The last mail that fits causes an event, once a day: in the statement whose own instant `reached_at` is.
limits_reached AS (
    INSERT INTO events (at, kind, user_id, reason, detail)
    SELECT $3, 'user-limit-reached', g.user_id, 'user-daily-limit', format('%s mails and replies on %s', limits.most, g.day)
    FROM user_grants g
    JOIN limits ON limits.id = g.user_id
    WHERE g.reached_at = now() AND g.granted > 0
),
within_limits AS MATERIALIZED (
    SELECT * FROM (
        SELECT seated.*, limits.id IS NOT NULL AS limited, user_grants.granted,
               row_number() OVER (PARTITION BY seated.user_id, seated.day ORDER BY seated.n) AS place
        FROM seated
        LEFT JOIN limits ON limits.id = seated.user_id
        LEFT JOIN user_grants ON user_grants.user_id = seated.user_id AND user_grants.day = seated.day
    ) AS ranked
    WHERE NOT limited OR place <= granted
),
-- The number of mails that each partner may still receive; the row is locked and raised in one step, so that no two
-- statements exceed the limit. If another statement was faster, `lost_place` reports the slot in the user's day. The
-- caller returns it (return_places.sql), because a statement changes a row only once.
receive_grants AS (
    INSERT INTO received_days AS rd (day, mailbox_id, received, granted)
    SELECT partner_day, partner_id, count(*), count(*)
    FROM within_limits
    WHERE partner_day IS NOT NULL
    GROUP BY partner_day, partner_id
    ORDER BY partner_day, partner_id
    ON CONFLICT (day, mailbox_id) DO UPDATE SET
        granted = GREATEST(0, LEAST(EXCLUDED.granted,
            (SELECT max(most) FROM within_limits w WHERE w.partner_id = rd.mailbox_id) - rd.received)),
        received = rd.received + GREATEST(0, LEAST(EXCLUDED.granted,
            (SELECT max(most) FROM within_limits w WHERE w.partner_id = rd.mailbox_id) - rd.received))
    RETURNING rd.day, rd.mailbox_id, rd.granted
),
accepted AS MATERIALIZED (
    SELECT * FROM (
        SELECT w.*, receive_grants.granted AS receivable,
               row_number() OVER (PARTITION BY w.partner_day, w.partner_id ORDER BY w.n) AS turn
        FROM within_limits w
        LEFT JOIN receive_grants ON receive_grants.day = w.partner_day AND receive_grants.mailbox_id = w.partner_id
    ) AS ranked
    WHERE partner_day IS NULL OR turn <= receivable
),
batch AS (
    INSERT INTO batches (worker_id, started_at, processed)
    SELECT $1, $3, count(*) FROM accepted HAVING count(*) > 0
    RETURNING id
),
used AS (
    INSERT INTO pairs (day, mailbox_id, partner_id, round)
    SELECT day, mailbox_id, partner_id, round FROM accepted WHERE answers IS NULL
),
raised AS (
    UPDATE mailbox_days d
    SET reserved = d.reserved + (accepted.answers IS NULL)::int, attempts = d.attempts + (accepted.answers IS NULL)::int,
        reply_attempts = d.reply_attempts + (accepted.answers IS NOT NULL)::int, quota = accepted.quota
    FROM accepted
    WHERE d.mailbox_id = accepted.mailbox_id AND d.day = accepted.day
      AND (accepted.answers IS NOT NULL OR d.reserved < accepted.quota)
    RETURNING d.mailbox_id, d.day
),
flights AS (
    INSERT INTO in_flight (mailbox_id, partner_id, user_id, day, round, shard, epoch, worker_id, run, batch_id,
                           message_id, subject, sender, recipient, limited, answers, partner_day)
    SELECT accepted.mailbox_id, accepted.partner_id, accepted.user_id, accepted.day, accepted.round, asks.shard,
           owned.epoch, $1, $2, batch.id, asks.message_id, asks.subject, senders.email, accepted.recipient,
           accepted.limited, accepted.answers, accepted.partner_day
    FROM accepted
    JOIN raised ON raised.mailbox_id = accepted.mailbox_id AND raised.day = accepted.day
    JOIN asks ON asks.n = accepted.n
    JOIN owned ON owned.shard = asks.shard
    JOIN senders ON senders.id = accepted.mailbox_id
    CROSS JOIN batch
    RETURNING id, mailbox_id, batch_id, message_id
),
verdicts AS MATERIALIZED (
    SELECT asks.n, asks.answers, flights.id AS flight, flights.batch_id,
           CASE
               WHEN flights.id IS NOT NULL THEN NULL
               WHEN NOT (SELECT running FROM fleet_orders) THEN 'fleet-stopped'
               WHEN owned.shard IS NULL THEN 'shard-lost'
               WHEN senders.active IS NOT TRUE THEN CASE
                   WHEN EXISTS (SELECT FROM pauses p WHERE p.until > $3 AND p.scope = 'host' AND p.key = lower(senders.smtp_host))
                   THEN 'host-paused'
                   WHEN EXISTS (SELECT FROM owner_pauses p WHERE p.until > $3 AND p.user_id = senders.user_id
                                AND p.scope = 'domain' AND p.key = senders.domain) THEN 'domain-paused'
                   ELSE 'sender-paused' END
               WHEN d.closed IS NOT FALSE THEN 'stale'
               WHEN EXISTS (SELECT FROM in_flight f WHERE f.mailbox_id = asks.mailbox_id) THEN 'not-cool'
               WHEN asks.answers IS NOT NULL AND asks.answers NOT IN (SELECT id FROM threads) THEN 'stale'
               WHEN asks.answers IS NOT NULL AND d.reply_attempts >= (senders.quota + 1) / 2 THEN 'quota-full'
               WHEN asks.answers IS NULL AND d.reserved >= senders.quota THEN 'quota-full'
               WHEN asks.answers IS NULL AND (d.attempts <> asks.attempts OR d.attempts >= 2 * senders.quota) THEN 'stale'
               WHEN d.next_at > $3 OR eve.next_at > $3 THEN 'not-cool'
               WHEN days.n IS NULL THEN 'stale'
               WHEN chosen.n IS NULL THEN 'no-partner'
               WHEN seated.n IS NULL OR within_limits.n IS NOT NULL THEN 'partners-full'
               ELSE 'user-daily-limit'
           END AS refusal,
           flights.id IS NULL AND within_limits.limited IS TRUE AS lost_place
    FROM asks
    LEFT JOIN owned ON owned.shard = asks.shard
    LEFT JOIN senders ON senders.id = asks.mailbox_id AND senders.shard = asks.shard
    LEFT JOIN mailbox_days d ON d.mailbox_id = asks.mailbox_id AND d.day = asks.day
    LEFT JOIN mailbox_days eve ON eve.mailbox_id = asks.mailbox_id AND eve.day = asks.day - 1
    LEFT JOIN days ON days.n = asks.n
    LEFT JOIN chosen ON chosen.n = asks.n
    LEFT JOIN seated ON seated.n = asks.n
    LEFT JOIN within_limits ON within_limits.n = asks.n
    LEFT JOIN flights ON flights.message_id = asks.message_id
),
-- A due reply that can't be sent is not caught up on: it is claimed or it lapses.
claimed AS (
    UPDATE scheduled_replies s
    SET state = CASE WHEN v.refusal IS NULL THEN 'claimed' ELSE 'lapsed' END,
        reason = CASE v.refusal WHEN 'quota-full' THEN 'reply-limit' WHEN 'host-paused' THEN 'sender-paused'
                                WHEN 'domain-paused' THEN 'sender-paused' ELSE v.refusal END,
        ended_at = CASE WHEN v.refusal IS NOT NULL THEN $3 END
    FROM verdicts v
    JOIN threads ON threads.id = v.answers
    WHERE s.id = v.answers AND (v.refusal IS NULL OR v.refusal IN ('sender-paused', 'host-paused', 'domain-paused', 'quota-full', 'no-partner'))
)
SELECT v.n, v.refusal, v.lost_place, v.flight, v.batch_id, senders.user_id, senders.email, senders.display_name, senders.smtp_host,
       senders.smtp_port, senders.smtp_security, senders.username, senders.sealed_password, chosen.partner_id,
       chosen.round, chosen.recipient, chosen.recipient_name, chosen.reply_rate, chosen.reply_zone, chosen.reply_days
FROM verdicts v
JOIN asks ON asks.n = v.n
LEFT JOIN senders ON senders.id = asks.mailbox_id AND senders.shard = asks.shard
LEFT JOIN chosen ON chosen.n = v.n
ORDER BY v.n
