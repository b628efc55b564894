-- Refusals in a row, without a success in between, rest the sender (domain/outcome/refusals.rs).
--
-- `refusals` counts them. The other columns are the last mail that was definitely not accepted: when, the reason code, and the
-- step with the words of the host. `mailbox show` prints them; only retention would find them in the log.
--
-- A worker of the previous release counts nothing and ends no count. A mail that it sends leaves an earlier count, so the next
-- refusal may rest the sender a step longer.
ALTER TABLE mailboxes
    ADD COLUMN refusals       smallint NOT NULL DEFAULT 0 CHECK (refusals >= 0),
    ADD COLUMN refused_at     timestamptz,
    ADD COLUMN refused_reason text,
    ADD COLUMN refused_words  text;
