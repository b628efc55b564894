-- Which mailboxes receive from other owners: those that are verified. What stands in the database stays verified, and so is
-- what a worker of the previous release enrols during the upgrade. NULL is not verified.
ALTER TABLE mailboxes ADD COLUMN verified_by text DEFAULT 'earlier-release';

-- Domains that an admin has confirmed to belong to a user: the user's mailboxes in them are verified.
CREATE TABLE verified_domains (
    user_id     bigint NOT NULL,
    domain      text NOT NULL,
    verified_by text NOT NULL,
    verified_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, domain)
);
