//! What Postgres counts of itself, and how the sums of a whole database stand to each other: for benches.

use sqlx::PgPool;

/// How often a statement ran since Postgres began to count, by its text.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct StatementCalls {
    pub text: String,
    pub calls: i64,
}

/// The sums of the ledger of a database in which nothing happens: of all its mailboxes, and of the log from a moment on.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct LedgerTotals {
    /// Rows of the log since then.
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
pub async fn ran(pool: &PgPool) -> Option<Vec<StatementCalls>> {
    // A database of our own may have it made; somebody else's has it or has not.
    let _ = sqlx::query("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").execute(pool).await;
    const READ: &str = "
        SELECT s.query AS text, sum(s.calls)::bigint AS calls FROM pg_stat_statements s
        JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()
        WHERE s.toplevel AND s.query !~ 'pg_stat_statements' GROUP BY s.query";
    sqlx::query_as(READ).fetch_all(pool).await.ok()
}

/// Marks this moment in the log: rows of mails that are reserved later have a greater id.
pub async fn mark(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT nextval('flight_ids')").fetch_one(pool).await
}

/// Reads the sums, those of the log since a `mark`.
pub async fn sums(pool: &PgPool, mark: i64) -> Result<LedgerTotals, sqlx::Error> {
    const READ: &str = "
        WITH rows AS (
            SELECT count(*) FILTER (WHERE status = 'SENT') AS sent_rows,
                   count(*) FILTER (WHERE status = 'FAILED') AS failed_rows,
                   count(DISTINCT message_id) AS message_ids
            FROM logs WHERE id > $1
        ), days AS (
            SELECT coalesce(sum(sent), 0)::bigint AS sent, coalesce(sum(failed), 0)::bigint AS failed,
                   coalesce(sum(uncertain), 0)::bigint AS uncertain,
                   coalesce(sum(reserved - sent - uncertain), 0)::bigint AS open_places
            FROM mailbox_days
        )
        SELECT *, (SELECT count(*) FROM in_flight) AS in_flight FROM rows, days";
    sqlx::query_as(READ).bind(mark).fetch_one(pool).await
}
