-- Sweep: flights of our shards that nobody works on any more. Another run's may have arrived, nobody knows; one of this
-- run that it does not know of was never started (the answer to its reserve was lost).
--
-- $1 run uuid, $2 shard int[], $3 running bigint[], $4 older_than interval, $5 now timestamptz, $6 newest bigint: of
-- this run's own, those after it are not judged, for $3 may be older than they are
WITH results AS MATERIALIZED (
    SELECT id AS flight, day, CASE WHEN run = $1 THEN 'unstarted' ELSE 'uncertain' END AS fate, $5::timestamptz AS at,
           NULL::int AS latency_ms, NULL::timestamptz AS next_at,
           CASE WHEN run = $1 THEN NULL ELSE 'uncertain' END AS reason, NULL::int AS smtp_code, NULL::text AS enhanced,
           'orphaned: its worker ended before it was settled' AS notes, NULL::bigint AS batch,
           NULL::timestamptz AS sender_until, NULL::timestamptz AS partner_until, NULL::timestamptz AS host_until, NULL::timestamptz AS domain_until,
           NULL::timestamptz AS reply_due, NULL::timestamptz AS reply_until,
           NULL::text AS mark, NULL::bool AS let_in, NULL::text AS trace, NULL::int AS answered, NULL::int AS stalled
    FROM in_flight
    WHERE shard = ANY ($2::int[])
      AND NOT (run = $1 AND (id = ANY ($3::bigint[]) OR id > $6))
      AND reserved_at < clock_timestamp() - $4::interval
),
-- Nothing is counted against anybody here.
rules AS (
    SELECT NULL::int AS refused_share, NULL::int AS refusals_least, NULL::int AS refusals_most, NULL::int AS stalled_mailboxes
),
