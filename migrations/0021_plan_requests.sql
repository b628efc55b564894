-- Requests to plan the mailboxes of a shard before the next tick: they were enrolled, switched on or resumed. Workers read
-- them at each heartbeat (src/worker/orders.rs), so a request needs no Redis and can't be missed.
CREATE TABLE plan_requests (
    shard        integer PRIMARY KEY,
    requests     bigint NOT NULL DEFAULT 1,
    -- By the database's own clock.
    requested_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Since when a mailbox may send: it was enrolled, switched on or resumed then. NULL: before this column was there.
ALTER TABLE mailboxes ADD COLUMN able_since timestamptz;
