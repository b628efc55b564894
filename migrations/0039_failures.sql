-- Failures of any kind in a row, without a success in between, rest the sender (domain/outcome/refusals.rs).
--
-- `failures` counts them, refusals included. A worker of the previous release leaves it as it is.
ALTER TABLE mailboxes ADD COLUMN failures smallint NOT NULL DEFAULT 0 CHECK (failures >= 0);

UPDATE mailboxes SET failures = refusals WHERE refusals > 0;
