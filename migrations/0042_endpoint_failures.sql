-- Failures before AUTH pause the mailboxes of one owner at one host, port and security. The pause of a host for everybody needs
-- failures of two owners at the same port and security.
--
-- `failing` of a row of scope `host`: the failures before AUTH since the host let a mail in or was paused for them, by port,
-- security and owner ('587/starttls/7'), at most 5 of each owner. A row of scope `login` counts its own in `failures`.
-- `probes`: the number of pauses since the breaker opened, at most 3. They last 1 h, 4 h, then 24 h.
--
-- Workers of the previous release neither read nor write these columns. They still count failures for the host as a whole, and
-- their breaker pauses last 1 h.
ALTER TABLE pauses
    ADD COLUMN failing jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN probes  smallint NOT NULL DEFAULT 0 CHECK (probes BETWEEN 0 AND 3);
