-- Settle: reads the outcome of each flight into `results`.
--
-- $1 flight bigint[], $2 day date[], $3 fate text[], $4 at timestamptz[], $5 latency_ms int[],
-- $6 next_at timestamptz[], $7 reason text[], $8 smtp_code int[], $9 enhanced text[], $10 notes text[],
-- $11 batch bigint[]
-- $12..$15 sender_until, partner_until, host_until, domain_until text[] of timestamps: NULL for no pause, 'infinity'
-- until the operator resumes
-- $16 reply_due, $17 reply_until timestamptz[]: the time of the partner's reply, NULL for no reply
-- $18 mark text[]: the counted signal (domain/outcome/escalation.rs), or `reduced`
-- $19 let_in bool[]: the mail got past AUTH
-- $20 trace text[]: its span, if tracing is on
-- $21 answered int[]: the last step that its host answered, from AUTH on; $22 stalled int[]: the step without an answer
-- $23 refused_share int (percent), $24 refusals_least, $25 refusals_most, $26 stalled_mailboxes int:
-- domain/outcome/breaker.rs and stalls.rs
-- $27 message_id text[]: an id may name another mail after a set-back, a Message-ID never does
-- $28 refused text[]: `sender`, `pair`, `host` or `other`, if it counts as a failure in a row
-- $29 sender_pauses, $30 pair_pauses, $31 host_pauses int[] (minutes), $32 failing_mailboxes int:
-- domain/outcome/refusals.rs
WITH results AS MATERIALIZED (
    SELECT *
    FROM unnest($1::bigint[], $2::date[], $3::text[], $4::timestamptz[], $5::int[], $6::timestamptz[], $7::text[],
                $8::int[], $9::text[], $10::text[], $11::bigint[], $12::text[]::timestamptz[],
                $13::text[]::timestamptz[], $14::text[]::timestamptz[], $15::text[]::timestamptz[], $16::timestamptz[],
                $17::timestamptz[], $18::text[], $19::bool[], $20::text[], $21::int[], $22::int[], $27::text[], $28::text[])
        AS result (flight, day, fate, at, latency_ms, next_at, reason, smtp_code, enhanced, notes, batch,
                   sender_until, partner_until, host_until, domain_until, reply_due, reply_until, mark, let_in, trace, answered,
                   stalled, message_id, refused)
),
rules AS (
    SELECT $23::int AS refused_share, $24::int AS refusals_least, $25::int AS refusals_most, $26::int AS stalled_mailboxes,
           $29::int[] AS sender_pauses, $30::int[] AS pair_pauses, $31::int[] AS host_pauses, $32::int AS failing_mailboxes
),
