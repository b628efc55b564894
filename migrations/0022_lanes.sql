-- Mail hosts that do not answer in time, as each worker sees it. A worker writes its own rows at each tick and when a host
-- turns, so a row that was not seen for an hour is of a worker that is gone.
CREATE TABLE slow_hosts (
    host      text NOT NULL,
    worker_id text NOT NULL,
    since     timestamptz NOT NULL,
    seen_at   timestamptz NOT NULL,
    PRIMARY KEY (host, worker_id)
);

-- When the user's daily limit was reached first on this day, by the database's clock: for its one event.
ALTER TABLE user_days ADD COLUMN reached_at timestamptz;
