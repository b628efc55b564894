-- Daily room: returns the rest of the daily limits of some users on some days. A user without a limit has no row.
--
-- $1 user_id bigint[], $2 day date[], $3 user_daily_cap float8: the factor by which a user's own limit may be exceeded
SELECT u.id, asked.day,
       GREATEST(LEAST(floor(u.daily_limit * $3::float8), 2147483647)::int - COALESCE(ud.reserved, 0), 0) AS room
FROM users u
CROSS JOIN unnest($2::date[]) AS asked (day)
LEFT JOIN user_days ud ON ud.user_id = u.id AND ud.day = asked.day
WHERE u.daily_limit IS NOT NULL AND u.id = ANY ($1::bigint[])
ORDER BY u.id, asked.day
