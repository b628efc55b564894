-- The span of the mail that is answered, as W3C Trace Context writes it (`traceparent`): the answer's span links to it.
-- NULL where that span was not kept, or nobody traces.
ALTER TABLE scheduled_replies ADD COLUMN trace text CHECK (length(trace) <= 55);
