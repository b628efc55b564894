-- Note slow hosts: replaces the mail hosts that one worker found slow. Writes an event for each host that becomes slow
-- for a first worker, and for each that is slow for no worker now. Locks slow_hosts by key, and nothing else.
--
-- $1 worker text, $2 host text[] (in order), $3 now timestamptz (day clock)
WITH fresh AS MATERIALIZED (
    SELECT host, worker_id FROM slow_hosts WHERE seen_at > $3 - interval '1 hour'
),
gone AS MATERIALIZED (
    SELECT s.host, s.worker_id
    FROM slow_hosts s
    WHERE (s.worker_id = $1 AND s.host <> ALL ($2::text[])) OR (s.worker_id <> $1 AND s.seen_at <= $3 - interval '1 day')
    ORDER BY s.host, s.worker_id
    FOR UPDATE
),
removed AS (
    DELETE FROM slow_hosts s USING gone WHERE s.host = gone.host AND s.worker_id = gone.worker_id
),
noted AS (
    INSERT INTO slow_hosts AS s (host, worker_id, since, seen_at)
    SELECT slow.host, $1, $3, $3 FROM unnest($2::text[]) AS slow (host)
    ON CONFLICT (host, worker_id) DO UPDATE SET seen_at = EXCLUDED.seen_at
)
INSERT INTO events (at, kind, worker_id, reason, detail)
SELECT $3, 'host-slow', $1, 'no-answer-in-time', slow.host
FROM unnest($2::text[]) AS slow (host)
WHERE slow.host NOT IN (SELECT host FROM fresh)
UNION ALL
SELECT $3, 'host-answers', $1, 'answers-in-time', gone.host
FROM gone
WHERE gone.worker_id = $1 AND gone.host NOT IN (SELECT host FROM fresh WHERE worker_id <> $1)
