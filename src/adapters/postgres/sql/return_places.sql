-- Return places: lowers the counters of users' days by the mails that a reserve counted and then refused, because
-- another reserve took the last mail that their partner may receive.
-- $1 user_id bigint[], $2 day date[], $3 places int[]
-- Locks user_days by key. Not repeatable.
WITH given AS (
    SELECT * FROM unnest($1::bigint[], $2::date[], $3::int[]) AS given (user_id, day, places)
),
user_rows AS MATERIALIZED (
    SELECT ud.user_id, ud.day, given.places
    FROM user_days ud
    JOIN given ON given.user_id = ud.user_id AND given.day = ud.day
    ORDER BY ud.user_id, ud.day
    FOR UPDATE OF ud
)
UPDATE user_days ud
SET reserved = ud.reserved - user_rows.places
FROM user_rows
WHERE ud.user_id = user_rows.user_id AND ud.day = user_rows.day
