-- A day's roster follows the mailboxes that can receive. It is remade in place (sql/refresh_roster.sql), and each remake
-- raises its version, so that a worker knows whether it holds the newest one.
ALTER TABLE rosters ADD COLUMN version integer NOT NULL DEFAULT 1 CHECK (version > 0);

-- The mails that a mailbox receives on its own day: delivered, uncertain or in flight; replies are not counted. A reserve
-- raises it up to the bound (src/domain/roster.rs). `granted` is how many of the last statement's mails fitted.
--
-- Lock order: after user_days, by key.
CREATE TABLE received_days (
    day        date NOT NULL,
    mailbox_id bigint NOT NULL,
    received   integer NOT NULL CHECK (received >= 0),
    granted    integer NOT NULL DEFAULT 0,
    PRIMARY KEY (day, mailbox_id)
) WITH (fillfactor = 70);

-- The partner's own day, which gets the mail back if it is refused or never started. NULL for a reply, and for a flight of
-- the previous release, which is not counted.
ALTER TABLE in_flight ADD COLUMN partner_day date;
