-- What the API tells without reading the log: it is counted on the rows that a settlement locks anyway.

ALTER TABLE mailbox_days
    -- Attempts that failed since the last one that did not, over the days.
    ADD COLUMN failed_in_row smallint NOT NULL DEFAULT 0 CHECK (failed_in_row >= 0),
    -- How long the mails took that were sent, and how many of them were timed.
    ADD COLUMN latency_ms    bigint NOT NULL DEFAULT 0,
    ADD COLUMN timed         smallint NOT NULL DEFAULT 0,
    -- The hour (UTC) of the last settlement, the mails sent in it, and in the one before.
    ADD COLUMN hour          timestamptz,
    ADD COLUMN hour_sent     smallint NOT NULL DEFAULT 0,
    ADD COLUMN hour_before   smallint NOT NULL DEFAULT 0;

-- Of those sent, the answers.
ALTER TABLE batches ADD COLUMN replied smallint NOT NULL DEFAULT 0;
CREATE INDEX batches_started ON batches (started_at);

CREATE INDEX events_user ON events (user_id, id);
