//! What Postgres counts of itself, and how the sums of a whole database stand to each other: for benches.

use sqlx::PgPool;

/// How often a statement ran since Postgres began to count, by its text.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Ran {
    pub text: String,
    pub calls: i64,
}

/// The sums of the ledger of a database in which nothing happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Sums {
    /// Rows of the log.
    pub sent_rows: i64,
    pub failed_rows: i64,
    pub message_ids: i64,
    /// Of the mailboxes' days.
    pub sent: i64,
    pub failed: i64,
    pub uncertain: i64,
    /// Places that are taken, by mails that are neither sent nor uncertain.
    pub open_places: i64,
    pub in_flight: i64,
}

/// Reads how often each statement of this database ran, those of other functions within not; none where Postgres does not
/// count (the extension `pg_stat_statements`, which has to be loaded at its start).
pub async fn ran(pool: &PgPool) -> Option<Vec<Ran>> {
    // A database of our own may have it made; somebody else's has it or has not.
    let _ = sqlx::query("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").execute(pool).await;
    const READ: &str = "
        SELECT s.query AS text, sum(s.calls)::bigint AS calls FROM pg_stat_statements s
        JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()
        WHERE s.toplevel AND s.query !~ 'pg_stat_statements' GROUP BY s.query";
    sqlx::query_as(READ).fetch_all(pool).await.ok()
}

/// Reads the sums.
pub async fn sums(pool: &PgPool) -> Result<Sums, sqlx::Error> {
    const READ: &str = "
        SELECT (SELECT count(*) FROM logs WHERE status = 'SENT') AS sent_rows,
               (SELECT count(*) FROM logs WHERE status = 'FAILED') AS failed_rows,
               (SELECT count(DISTINCT message_id) FROM logs) AS message_ids,
               (SELECT coalesce(sum(sent), 0)::bigint FROM mailbox_days) AS sent,
               (SELECT coalesce(sum(failed), 0)::bigint FROM mailbox_days) AS failed,
               (SELECT coalesce(sum(uncertain), 0)::bigint FROM mailbox_days) AS uncertain,
               (SELECT coalesce(sum(reserved - sent - uncertain), 0)::bigint FROM mailbox_days) AS open_places,
               (SELECT count(*) FROM in_flight) AS in_flight";
    sqlx::query_as(READ).fetch_one(pool).await
}
