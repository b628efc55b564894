-- What one owner's mail host says changes nothing that belongs to another owner.

-- What a mail host said of a partner, by the owner whose mail it refused. `host` is name:port. Until `until` that host gets no
-- mail for that partner. `said_until` is until when the partner would take no mail at all: it counts for everybody only where
-- its own host, its owner's, or the hosts of two owners say so (domain/outcome/blame.rs).
CREATE TABLE partner_refusals (
    partner_id bigint NOT NULL,
    host       text NOT NULL,
    user_id    bigint NOT NULL,
    reason     text NOT NULL,
    at         timestamptz NOT NULL,
    until      timestamptz NOT NULL,
    said_until timestamptz NOT NULL,
    PRIMARY KEY (partner_id, host, user_id)
);
CREATE INDEX partner_refusals_host ON partner_refusals (host, user_id);

-- A domain, or a host (name:port), of which one owner's mailboxes wait. Pauses of a host for everybody stay in `pauses`.
-- `times` is how often a host was paused again within a day of its last pause.
--
-- Lock order: after pauses come partner_refusals, then owner_pauses, each by key.
CREATE TABLE owner_pauses (
    user_id bigint NOT NULL,
    scope   text NOT NULL CHECK (scope IN ('host', 'domain')),
    key     text NOT NULL,
    reason  text NOT NULL,
    since   timestamptz NOT NULL,
    until   timestamptz NOT NULL,
    flight  bigint,
    times   smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, scope, key)
);

-- A domain that is paused goes on being paused, for each owner by itself. Workers of the previous release read the old row;
-- this release reads only the new one.
INSERT INTO owner_pauses (user_id, scope, key, reason, since, until, flight)
SELECT DISTINCT ON (m.user_id, p.key) m.user_id, 'domain', p.key, p.reason, p.since, p.until, p.flight
FROM pauses p JOIN mailboxes m ON m.domain = p.key
WHERE p.scope = 'domain' AND p.until > p.since AND m.state <> 'removed'
ORDER BY m.user_id, p.key;
