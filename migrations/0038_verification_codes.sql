-- Codes that were sent to mailboxes: who reads one back shows that the mailbox is theirs. The newest row of a mailbox counts.
-- Rows stay for 30 days, because the bounds of how many codes are sent look back that far.
CREATE TABLE verification_codes (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mailbox_id    bigint NOT NULL,
    -- The owner when the code was sent: another owner can't enter it.
    user_id       bigint NOT NULL,
    -- The operator's mailbox that the code went out through.
    sender_id     bigint NOT NULL,
    -- SHA-256 of mailbox and code. NULL once the code was entered, or if its mail was refused.
    code_hash     bytea,
    requested_at  timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    attempts_left smallint NOT NULL,
    -- sent, refused or uncertain; NULL while the mail is on its way, or if the process ended then.
    outcome       text,
    reason        text
);
CREATE INDEX verification_codes_mailbox ON verification_codes (mailbox_id, id);
CREATE INDEX verification_codes_user ON verification_codes (user_id, requested_at);
CREATE INDEX verification_codes_sender ON verification_codes (sender_id, requested_at);

-- This release names the column in each INSERT. What a worker of an earlier release enrols from now on is not verified: an
-- admin enrols it again, or it reads a code back. What is stored stays as it is.
ALTER TABLE mailboxes ALTER COLUMN verified_by DROP DEFAULT;
