-- Of a host: the first mailboxes that it did not answer at AUTH or later, each with the step (0 connect to 7 dot) at which no
-- mail was answered since (domain/outcome/stalls.rs). `refused` no longer forgets after minutes: it holds the mailboxes that
-- were not let in since the host let one in (domain/outcome/breaker.rs).
ALTER TABLE pauses ADD COLUMN stalled jsonb NOT NULL DEFAULT '{}';
