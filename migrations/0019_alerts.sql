-- Whose quota is in danger (view/alerts.rs): what a census has told of a mailbox, and on which of its days it began.
ALTER TABLE standings
    ADD COLUMN alert      text CHECK (alert IN ('behind', 'failing')),
    ADD COLUMN behind_on  date,
    ADD COLUMN failing_on date;

-- Mailboxes that an alert is out for.
ALTER TABLE totals ADD COLUMN alarmed bigint NOT NULL DEFAULT 0;
