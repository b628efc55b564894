-- Sweep: ends the flights of our shards that no run works on: they may have been sent, so they become uncertain. Only
-- those of $7 are released, at any age: this run knows that it never started them. A flight of this run that is in
-- neither list came back with a database that was set back, so it may have been sent.
--
-- $1 run uuid, $2 shard int[], $3 running text[] (Message-IDs), $4 older_than interval, $5 now timestamptz,
-- $6 newest bigint: later flights of this run are skipped, because $3 may be older than they are, $7 unstarted text[]
WITH results AS MATERIALIZED (
    SELECT id AS flight, day, CASE WHEN unstarted THEN 'unstarted' ELSE 'uncertain' END AS fate, $5::timestamptz AS at,
           NULL::int AS latency_ms, NULL::timestamptz AS next_at,
           CASE WHEN unstarted THEN NULL ELSE 'uncertain' END AS reason, NULL::int AS smtp_code, NULL::text AS enhanced,
           'orphaned: its worker ended before it was settled' AS notes, NULL::bigint AS batch,
           NULL::timestamptz AS sender_until, NULL::timestamptz AS partner_until, NULL::timestamptz AS host_until, NULL::timestamptz AS domain_until,
           NULL::timestamptz AS reply_due, NULL::timestamptz AS reply_until,
           NULL::text AS mark, NULL::bool AS let_in, NULL::text AS trace, NULL::int AS answered, NULL::int AS stalled,
           message_id, NULL::text AS refused
    FROM (SELECT *, run = $1 AND message_id = ANY ($7::text[]) AS unstarted FROM in_flight) AS known
    WHERE unstarted
       OR (shard = ANY ($2::int[])
           AND NOT (run = $1 AND (message_id = ANY ($3::text[]) OR id > $6))
           AND reserved_at < clock_timestamp() - $4::interval)
),
-- A sweep counts against no mailbox, host or domain.
rules AS (
    SELECT NULL::int AS refused_share, NULL::int AS refusals_least, NULL::int AS refusals_most, NULL::int AS stalled_mailboxes,
           NULL::int[] AS sender_pauses, NULL::int[] AS pair_pauses, NULL::int[] AS host_pauses,
           NULL::int AS failing_mailboxes
),
