-- One row for each worker, written at each heartbeat: a worker that can't write must not keep its shards
-- (src/adapters/postgres/sql/heartbeat.sql). The heartbeat also deletes rows that are a day old.
CREATE TABLE worker_heartbeats (
    worker_id text PRIMARY KEY,
    run       uuid NOT NULL,
    -- The database's clock.
    beat_at   timestamptz NOT NULL
-- Updates stay on their page (HOT): no indexed column changes, and half of each page is free.
) WITH (fillfactor = 50);
