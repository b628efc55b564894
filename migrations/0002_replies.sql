-- Replies: one answer a thread, by the partner, from `due_at` on and before `until`, both within its active hours.
--
-- Their rows are locked behind mailbox_days and before mailboxes.
CREATE TABLE scheduled_replies (
    -- The log row of the mail that is answered.
    id         bigint PRIMARY KEY,
    -- Who answers, and who is answered.
    mailbox_id bigint NOT NULL,
    partner_id bigint NOT NULL,
    due_at     timestamptz NOT NULL,
    until      timestamptz NOT NULL,
    -- The mail's own: its answer is In-Reply-To one, and `Re:` the other.
    message_id text NOT NULL,
    subject    text NOT NULL,
    -- Claimed while its answer is in flight.
    state      text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'claimed', 'sent', 'failed', 'lapsed')),
    reason     text,
    ended_at   timestamptz,
    CHECK (mailbox_id <> partner_id),
    CHECK (due_at < until),
    CHECK ((state IN ('failed', 'lapsed')) = (reason IS NOT NULL))
);
CREATE INDEX scheduled_replies_waiting ON scheduled_replies (due_at) WHERE state = 'waiting';

-- Replies that were started today; what was never started is given back. Not more than half the quota.
ALTER TABLE mailbox_days ADD COLUMN reply_attempts smallint NOT NULL DEFAULT 0 CHECK (reply_attempts >= 0);

-- The mail that is answered: NULL for mails.
ALTER TABLE in_flight ADD COLUMN answers bigint;
ALTER TABLE logs ADD COLUMN answers bigint;
