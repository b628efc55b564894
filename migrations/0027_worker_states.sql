-- What a worker says of itself at its heartbeat, so that `warmup status` shows a worker that can't do its part.
-- One of `starting`, `running`, `benched`, `clock-off`, `replaced`, `draining` and `stopped`; a worker of an earlier release
-- writes none.
ALTER TABLE worker_heartbeats ADD COLUMN state text NOT NULL DEFAULT 'running';
