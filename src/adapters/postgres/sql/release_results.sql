-- Release: returns mails that a run knows it never started, by Message-ID. $1 run uuid, $2 message_id text[],
-- $3 now timestamptz.
WITH results AS MATERIALIZED (
    SELECT id AS flight, day, 'unstarted' AS fate, $3::timestamptz AS at, NULL::int AS latency_ms,
           NULL::timestamptz AS next_at, NULL::text AS reason, NULL::int AS smtp_code, NULL::text AS enhanced,
           NULL::text AS notes, NULL::bigint AS batch, NULL::timestamptz AS sender_until, NULL::timestamptz AS partner_until,
           NULL::timestamptz AS host_until, NULL::timestamptz AS domain_until,
           NULL::timestamptz AS reply_due, NULL::timestamptz AS reply_until,
           NULL::text AS mark, NULL::bool AS let_in, NULL::text AS trace, NULL::int AS answered, NULL::int AS stalled,
           message_id, NULL::text AS refused
    FROM in_flight
    WHERE run = $1 AND message_id = ANY ($2::text[])
),
-- A release counts against no mailbox, host or domain.
rules AS (
    SELECT NULL::int AS refused_share, NULL::int AS refusals_least, NULL::int AS refusals_most, NULL::int AS stalled_mailboxes,
           NULL::int[] AS sender_pauses, NULL::int[] AS pair_pauses, NULL::int[] AS host_pauses,
           NULL::int AS failing_mailboxes
),
