-- Refresh roster: rebuilds the roster of a day if it differs too much from the mailboxes that can receive. It counts
-- changed members, owners and verifications, and rebuilds if more than one in $3 differs. It follows
-- `roster_members.sql`: $1 day date, $2 now timestamptz, $3 int.
--
-- Decides and rebuilds in one statement. Of two concurrent workers the second waits for the head's row and then finds a
-- version that it has not seen, so it rebuilds nothing. Members that stay keep their rows; the reader sorts them.
-- Returns one row: the version that this statement saw (NULL: no roster), the version that it made (NULL: none), and
-- whether the roster was outdated.
stored AS (
    SELECT ctid AS place, position, mailbox_id, user_id, domain, quota, verified FROM roster WHERE day = $1
),
-- A full join again: the planner has no statistics of rows that were just written.
faced AS MATERIALIZED (
    SELECT stored.place, stored.position, members.id, members.user_id, members.domain, members.quota, members.verified,
           (stored.user_id, stored.domain, stored.quota, stored.verified)
               IS DISTINCT FROM (members.user_id, members.domain, members.quota, members.verified) AS differs,
           (stored.user_id, stored.verified) <> (members.user_id, members.verified) AS moved
    FROM members
    FULL JOIN stored ON stored.mailbox_id = members.id
),
drift AS MATERIALIZED (
    SELECT count(*) FILTER (WHERE position IS NULL) AS joined, count(*) FILTER (WHERE id IS NULL) AS gone,
           count(*) FILTER (WHERE moved) AS moved,
           count(*) FILTER (WHERE position IS NULL OR id IS NULL OR moved) AS changed,
           count(id) AS now_members, GREATEST(count(id), count(position)) AS larger, max(position) AS last
    FROM faced
),
seen AS MATERIALIZED (
    SELECT version FROM rosters WHERE day = $1
),
head AS MATERIALIZED (
    UPDATE rosters r
    SET version = r.version + 1, made_at = $2
    FROM seen, drift
    WHERE r.day = $1 AND r.version = seen.version AND drift.changed * $3::int > drift.larger
    RETURNING r.version
),
-- By row addresses, which the version of the head protects. For a day that began after the last ANALYZE the planner
-- expects one row, and would read all members once for each row of the roster.
dropped AS (
    DELETE FROM roster WHERE ctid = ANY (ARRAY(SELECT faced.place FROM faced, head WHERE faced.id IS NULL))
),
changed AS (
    UPDATE roster
    SET user_id = faced.user_id, domain = faced.domain, quota = faced.quota, verified = faced.verified
    FROM faced, head
    WHERE roster.ctid = faced.place AND faced.id IS NOT NULL AND faced.differs
),
added AS (
    INSERT INTO roster (day, position, mailbox_id, user_id, domain, quota, verified)
    SELECT $1, COALESCE(drift.last, -1) + row_number() OVER (ORDER BY faced.id), faced.id, faced.user_id, faced.domain,
           faced.quota, faced.verified
    FROM faced, head, drift
    WHERE faced.position IS NULL
),
told AS (
    INSERT INTO events (at, kind, reason, detail)
    SELECT $2, 'roster-remade', 'members-changed',
           format('%s: version %s of %s mailboxes, %s joined, %s left, %s changed owner or verification', $1::date,
                  head.version, drift.now_members, drift.joined, drift.gone, drift.moved)
    FROM head, drift
)
SELECT seen.version, head.version, drift.changed * $3::int > drift.larger
FROM drift
LEFT JOIN seen ON true
LEFT JOIN head ON true
