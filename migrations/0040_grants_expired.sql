-- Grants that a worker threw away since its start, because Postgres had answered their reserve too late, and when a heartbeat
-- last told of new ones: `warmup status` names the worker. A worker of an earlier release writes neither.
ALTER TABLE worker_heartbeats
    ADD COLUMN grants_expired bigint NOT NULL DEFAULT 0,
    -- The database's clock.
    ADD COLUMN grants_expired_at timestamptz;
