-- Ledger state: returns the progress of this database. $1 day date, $2 log id bigint, $3 message_id text: a settled
-- mail, or NULL. Retention deletes old rows, so a mail older than yesterday by the server's clock counts as present.
SELECT fence, (SELECT last_value - (NOT is_called)::int FROM flight_ids) AS flight, shards.n AS shards, shards.epochs,
       $1::date IS NULL OR $1::date < current_date - 1 OR EXISTS (
           SELECT FROM logs l WHERE l.day = $1::date AND l.id = $2::bigint AND l.message_id = $3::text
       ) AS has_settled
FROM fleet_orders, (SELECT count(*) AS n, COALESCE(sum(epoch), 0)::bigint AS epochs FROM shards) AS shards
WHERE fleet_orders.id = 1
