-- The operator's own texts, as `warmup template import` stored them: every worker of a fleet uses the same. A kind of
-- which there is none here is written with the built-in ones.

CREATE TABLE templates (
    kind        text NOT NULL CHECK (kind IN ('mail', 'reply')),
    -- The order of the file: the same dice choose the same template on every worker.
    position    integer NOT NULL,
    subject     text,
    body        text NOT NULL,
    imported_at timestamptz NOT NULL,
    PRIMARY KEY (kind, position),
    -- A reply takes the subject of what it answers.
    CHECK ((kind = 'mail') = (subject IS NOT NULL))
);
