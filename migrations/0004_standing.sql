-- What several answers lead to that one alone does not (domain/outcome/standing.rs has the rules).

-- A sender's strikes since the first one of its 24 hours, and when its plan was last halved.
ALTER TABLE mailboxes
    ADD COLUMN strikes   smallint NOT NULL DEFAULT 0 CHECK (strikes >= 0),
    ADD COLUMN struck_at timestamptz,
    ADD COLUMN eased_at  timestamptz;

-- A row whose `until` is over holds nobody; a host's keeps what it has counted until a mail gets past AUTH there. To
-- delete the row is to forget it all: that is what `resume --host` does.
ALTER TABLE pauses
    -- Whose answer began or lengthened it: the id of its log row.
    ADD COLUMN flight   bigint,
    -- Of a host: failures in a row, none let in between; beyond 5, how often it failed again after a pause.
    ADD COLUMN failures smallint NOT NULL DEFAULT 0 CHECK (failures >= 0),
    -- The mailboxes that were disabled because it did not let them in, each with when: at most 5 of 10 minutes.
    ADD COLUMN refused  jsonb NOT NULL DEFAULT '{}',
    -- Its breaker opened, and nobody was let in since: once `until` is over one mailbox at a time is tried.
    ADD COLUMN probing  boolean NOT NULL DEFAULT false;

-- An alert is told once an hour for each reason.
CREATE INDEX events_kind ON events (kind, reason, at);
