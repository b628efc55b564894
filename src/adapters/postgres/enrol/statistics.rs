//! Refreshes what the planner knows of the mailboxes after a large import: a worker reads them within the second, autovacuum
//! analyses them within the minute.

use sqlx::PgPool;

/// Mailboxes of one import from which on the statistics are refreshed. Fewer are read quickly by any plan.
const LARGE: usize = 1_000;

/// Analyses the tables that an import of `written` mailboxes filled, if it is large. A failure only costs time, until
/// autovacuum does the same: it is logged.
pub async fn analyze(pool: &PgPool, written: usize) {
    const ANALYZE: &str = "ANALYZE users, mailboxes, events";
    if written < LARGE {
        return;
    }
    if let Err(error) = sqlx::raw_sql(ANALYZE).execute(pool).await {
        tracing::warn!(%error, "the tables could not be analysed after the import: autovacuum does it later");
    }
}
