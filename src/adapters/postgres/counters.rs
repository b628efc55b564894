//! This module reads Postgres's statement counters and the ledger totals of a database, for the benchmarks.

use sqlx::PgPool;

/// `StatementCalls` holds the number of calls of a statement since Postgres began to count, by its text.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct StatementCalls {
    pub text: String,
    pub calls: i64,
}

/// `LedgerTotals` sums the ledger of an idle database: all its mailboxes, and the log from a mark on.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct LedgerTotals {
    /// The rows of the log with status SENT since the mark; the next two fields count from the mark too.
    pub sent_rows: i64,
    pub failed_rows: i64,
    pub message_ids: i64,
    /// The sum over the days of all mailboxes, like the next two fields.
    pub sent: i64,
    pub failed: i64,
    pub uncertain: i64,
    /// The quota slots of mails that are neither sent nor uncertain.
    pub open_places: i64,
    pub in_flight: i64,
}

/// Returns the number of calls of each top-level statement of this database. Returns `None` if Postgres does not count:
/// the extension `pg_stat_statements` must be loaded at the server's start.
pub async fn ran(pool: &PgPool) -> Option<Vec<StatementCalls>> {
    // Succeeds in a benchmark's own database; elsewhere the extension exists or not.
    let _ = sqlx::query("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").execute(pool).await;
    const READ: &str = "
        SELECT s.query AS text, sum(s.calls)::bigint AS calls FROM pg_stat_statements s
        JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()
        WHERE s.toplevel AND s.query !~ 'pg_stat_statements' GROUP BY s.query";
    sqlx::query_as(READ).fetch_all(pool).await.ok()
}

/// Marks this moment in the log: mails that are reserved later have a greater id.
pub async fn mark(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT nextval('flight_ids')").fetch_one(pool).await
}

/// Returns the totals, those of the log since `mark`.
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
