-- Who is paired with other owners' mailboxes: mailboxes that are verified. The others are paired within their owner. A worker
-- of the previous release writes no value; its reserve refuses what this release would not pair.
ALTER TABLE roster ADD COLUMN verified boolean NOT NULL DEFAULT true;
