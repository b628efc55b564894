-- A database that was set back: a crash or a failover without its last commits, or a restore. The fleet is then stopped
-- until it is fenced and started by `warmup fleet start --after-restore`.
ALTER TABLE fleet_orders
    -- When the set-back was recognized or the operator fenced, and how it showed; NULL while all is well.
    ADD COLUMN set_back_at timestamptz,
    ADD COLUMN set_back    text,
    -- When the operator fenced since then.
    ADD COLUMN fenced_at   timestamptz,
    -- Raised by each fence to the seconds since 1970, so no restore brings an earlier number back as a later one.
    ADD COLUMN fence       bigint NOT NULL DEFAULT 0;
