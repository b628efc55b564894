-- What keeps lists and the day's line short to read, however many mailboxes, events and batches there are.

-- Mails that were sent in each quarter of an hour, by their batches: summed up by a census, for some days.
CREATE TABLE quarters (
    at    timestamptz PRIMARY KEY,
    mails bigint NOT NULL
);

-- By which a mailbox is looked for, in lower case, beside what is told of it: filled, as the quarters are, by the next census.
ALTER TABLE standings ADD COLUMN address text NOT NULL DEFAULT '';
DELETE FROM census;

-- A part of an address is looked for in all addresses; those of a host are counted. Neither reads the mailboxes themselves.
CREATE INDEX mailboxes_address ON mailboxes (lower(email)) INCLUDE (email, id) WHERE state <> 'removed';
DROP INDEX mailboxes_host;
CREATE INDEX mailboxes_host ON mailboxes (lower(smtp_host), id) INCLUDE (smtp_host) WHERE state <> 'removed';

CREATE INDEX events_of_kind ON events (kind, id);
