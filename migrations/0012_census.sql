-- What the API tells of the fleet as a whole: counted now and then, so that no answer reads the fleet. All of it can be
-- counted again. Written only by whoever takes a census, one at a time (an advisory lock); nothing of a mail reads it, and a
-- census locks no row of anything else.

-- When everybody was counted last.
CREATE TABLE census (
    id          smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    -- Against which instant of the day clock they were judged.
    as_of       timestamptz NOT NULL,
    -- By the database's own clock: who asks is on any machine. `marked_at` is when somebody changed what had been counted.
    taken_at    timestamptz NOT NULL,
    took_ms     bigint NOT NULL,
    marked_at   timestamptz NOT NULL DEFAULT '-infinity',
    -- Of the batches of the last hour: granted, granted in the last minute, mails sent, and milliseconds from begin to end.
    hour_used   bigint NOT NULL,
    minute_used bigint NOT NULL,
    hour_sent   bigint NOT NULL,
    batch_ms    bigint NOT NULL
);

-- Each mailbox that is switched on, on its own today.
CREATE TABLE standings (
    mailbox_id bigint PRIMARY KEY,
    user_id    bigint NOT NULL,
    day        date NOT NULL,
    quota      integer NOT NULL,
    sent       integer NOT NULL,
    status     text NOT NULL CHECK (status IN ('complete', 'on-track', 'behind', 'failing'))
) WITH (fillfactor = 70);
CREATE INDEX standings_status ON standings (status, mailbox_id);
CREATE INDEX standings_user ON standings (user_id, mailbox_id);
CREATE INDEX standings_user_status ON standings (user_id, status, mailbox_id);

-- Their sums for each user, and for all of them as user 0. view/census.rs says what each one is.
CREATE TABLE totals (
    user_id     bigint PRIMARY KEY,
    enrolled    bigint NOT NULL,
    may_send    bigint NOT NULL,
    off         bigint NOT NULL,
    paused      bigint NOT NULL,
    disabled    bigint NOT NULL,
    owed        bigint NOT NULL,
    mailboxes   bigint NOT NULL,
    active      bigint NOT NULL,
    sent        bigint NOT NULL,
    replied     bigint NOT NULL,
    failed      bigint NOT NULL,
    uncertain   bigint NOT NULL,
    owing       bigint NOT NULL,
    filled      bigint NOT NULL,
    planned     bigint NOT NULL,
    complete    bigint NOT NULL,
    on_track    bigint NOT NULL,
    behind      bigint NOT NULL,
    failing     bigint NOT NULL,
    hour_sent   bigint NOT NULL,
    hour_before bigint NOT NULL,
    minute_sent bigint NOT NULL,
    -- Mailboxes: the furthest behind their plan, and the fullest.
    furthest    bigint[] NOT NULL,
    best        bigint[] NOT NULL,
    -- What those owe and sent whose windows are the same span of the same day: a line for each.
    windows     jsonb NOT NULL
) WITH (fillfactor = 50);

-- Today's rows lie wherever older ones left room: by ranges of blocks they are not found.
DROP INDEX mailbox_days_day;
CREATE INDEX mailbox_days_day ON mailbox_days (day);

-- What failed is looked for most, and is the least of a day.
CREATE INDEX logs_failed ON logs (day, id) WHERE status = 'FAILED';

-- Lists of mailboxes by what they are chosen by.
CREATE INDEX mailboxes_domain ON mailboxes (domain, id);
CREATE INDEX mailboxes_host ON mailboxes (lower(smtp_host), id);
CREATE INDEX mailboxes_owner ON mailboxes (user_id, id);
DROP INDEX mailboxes_user;
CREATE INDEX mailboxes_still ON mailboxes (state, id) WHERE state <> 'active';
CREATE INDEX mailboxes_off ON mailboxes (id) WHERE NOT enabled;
