//! `analyze` refreshes the planner's statistics after a large import: a worker reads the new mailboxes within a second,
//! and autovacuum would analyse them within a minute.

use sqlx::PgPool;

/// The size of an import, in mailboxes, from which the statistics are refreshed. Any plan reads fewer quickly.
const LARGE: usize = 1_000;

/// Analyses the tables that an import of `written` mailboxes filled, if the import is large. A failure only costs time
/// until autovacuum analyses them, so it is only logged.
pub async fn analyze(pool: &PgPool, written: usize) {
    const ANALYZE: &str = "ANALYZE users, mailboxes, events";
    if written < LARGE {
        return;
    }
    if let Err(error) = sqlx::raw_sql(ANALYZE).execute(pool).await {
        tracing::warn!(%error, "the tables could not be analysed after the import: autovacuum does it later");
    }
}
