-- Make roster: makes the roster of a day, if it does not exist. It follows `roster_members.sql`.
-- $1 day date, $2 now timestamptz
--
-- A second worker waits here for the first one's commit and then finds the roster.
made AS (
    INSERT INTO rosters (day, made_at) VALUES ($1, $2) ON CONFLICT DO NOTHING
    RETURNING day
)
INSERT INTO roster (day, position, mailbox_id, user_id, domain, quota, verified)
SELECT made.day, row_number() OVER (ORDER BY members.user_id, members.domain COLLATE "C", members.id) - 1, members.id,
       members.user_id, members.domain, members.quota, members.verified
FROM members
CROSS JOIN made
