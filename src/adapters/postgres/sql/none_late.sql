-- Nothing here is known late.
corrected AS (
    SELECT mailbox_id, partner_id, day, message_id, subject, answers, id AS flight, fate, batch_id AS batch, at
    FROM flights WHERE false
),
