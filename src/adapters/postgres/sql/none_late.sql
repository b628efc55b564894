-- No late answers: the empty `corrected` of statements that correct no row.
corrected AS (
    SELECT mailbox_id, partner_id, day, message_id, subject, answers, id AS flight, fate, batch_id AS batch, at
    FROM flights WHERE false
),
