-- The `results` that are still in in_flight: the first locks of a closing, by key.
flights AS MATERIALIZED (
    SELECT f.*, r.fate, r.next_at, r.at
    FROM in_flight f
    JOIN results r ON r.flight = f.id AND r.message_id = f.message_id
    ORDER BY f.id
    FOR UPDATE OF f
),
