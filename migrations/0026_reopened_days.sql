-- Whether closing the day raised its mailbox's ramp: a day that is today again takes that back when it is opened again.
ALTER TABLE mailbox_days ADD COLUMN grew boolean NOT NULL DEFAULT false;
