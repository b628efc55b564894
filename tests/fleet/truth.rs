//! The counters of a day against its rows.

use sqlx::PgPool;

/// The days on which a number is not true, read in one snapshot.
pub async fn broken(pool: &PgPool) -> Vec<String> {
    look(pool).await.unwrap()
}

/// The same of a Postgres that may be away.
pub async fn look(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    const BROKEN: &str = "
        SELECT format('%s: %s', d.mailbox_id, row_to_json(d))
        FROM mailbox_days d
        LEFT JOIN LATERAL (
            SELECT count(*) FILTER (WHERE status = 'SENT') AS sent,
                   count(*) FILTER (WHERE status = 'REPLIED') AS replied,
                   count(*) FILTER (WHERE status = 'FAILED' AND (reason <> 'uncertain' OR answers > 0)) AS failed,
                   count(*) FILTER (WHERE reason = 'uncertain' AND answers IS NULL) AS uncertain
            FROM logs l WHERE l.mailbox_id = d.mailbox_id AND l.day = d.day
        ) AS rows ON true
        LEFT JOIN LATERAL (
            SELECT count(*) FILTER (WHERE answers IS NULL) AS in_flight, count(*) AS all_in_flight
            FROM in_flight f WHERE f.mailbox_id = d.mailbox_id AND f.day = d.day
        ) AS flights ON true
        WHERE d.reserved > d.quota OR d.reserved <> d.sent + d.uncertain + flights.in_flight
           OR flights.all_in_flight > 1 OR d.replied <> rows.replied OR d.reply_attempts > (d.quota + 1) / 2
           OR d.sent <> rows.sent OR d.failed <> rows.failed OR d.uncertain <> rows.uncertain";
    sqlx::query_scalar(BROKEN).fetch_all(pool).await
}
