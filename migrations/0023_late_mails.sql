-- Mails whose log row was written late, because the database had lost what it knew of them: a crash or a failover without
-- its last commits, or a restore. The row in `logs` has an id of its own, so this table finds it by the Message-ID, and a
-- repeated settle adds no second one.
CREATE TABLE late_mails (
    message_id text PRIMARY KEY,
    day        date NOT NULL,
    log_id     bigint NOT NULL,
    at         timestamptz NOT NULL
);
