-- The login breaker counts for one owner and place: a mail host with its port and its security. One owner's wrong passwords
-- pause nobody else's mailboxes.

-- How one owner logs in at one mail host: the key of that owner's login breaker.
CREATE FUNCTION login_key(user_id bigint, smtp_host text, smtp_port integer, smtp_security text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
-- With casts all of it is immutable, so Postgres inlines it.
RETURN user_id::text || '/' || lower(smtp_host) || ':' || smtp_port::text || '/' || smtp_security;

-- A row of scope `login` belongs to one owner, in `user_id`; its key is a `login_key`. Workers of the previous release read
-- and write rows of scope `host` only, and pass over these.
ALTER TABLE pauses
    ADD COLUMN user_id bigint,
    DROP CONSTRAINT pauses_scope_check,
    ADD CONSTRAINT pauses_scope_check CHECK (scope IN ('host', 'domain', 'login') AND (scope = 'login') = (user_id IS NOT NULL));

CREATE INDEX mailboxes_login ON mailboxes (user_id, lower(smtp_host)) WHERE state <> 'removed';

-- Refusals that were counted for a host as a whole count for each owner from here on, and open breakers stay open.
INSERT INTO pauses (scope, key, reason, since, until, flight, refused, probing, user_id)
SELECT 'login', login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security), p.reason, p.since, p.until, p.flight,
       jsonb_object_agg(refused.key, refused.value), p.probing, m.user_id
FROM pauses p
CROSS JOIN LATERAL jsonb_each(p.refused) AS refused
JOIN mailboxes m ON m.id = refused.key::bigint AND lower(m.smtp_host) = p.key
WHERE p.scope = 'host' AND m.state <> 'removed'
GROUP BY p.scope, p.key, m.user_id, login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security);

-- A breaker that one owner's mailboxes alone had opened is that owner's: everybody else sends again.
UPDATE pauses p
SET probing = false, refused = '{}', until = p.since
WHERE p.scope = 'host' AND p.probing
  AND (SELECT count(DISTINCT m.user_id) FROM mailboxes m
       WHERE m.id IN (SELECT jsonb_object_keys(p.refused)::bigint)) < 2;
