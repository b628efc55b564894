//! Builds the indexes of large tables while the fleet works.
//!
//! A migration runs in a transaction, and CREATE INDEX in a transaction blocks every writer until the whole table is
//! read: minutes for the replies of 90 days. `build_indexes` runs CREATE INDEX CONCURRENTLY after the migrations
//! instead. It is repeatable: an index that an interrupted build left invalid is dropped and built again.
//!
//! CREATE INDEX CONCURRENTLY waits for every older statement in the database. So pods that migrate together poll for
//! the lock: a pod that waited for it inside a statement would block the build, and the build would block the pod.

use sqlx::{AssertSqlSafe, PgConnection};

use super::MigrateError;

/// An `Index` is an index that is built concurrently.
struct Index {
    name: &'static str,
    /// The table and the text that follows it in CREATE INDEX.
    on: &'static str,
    /// An index of an earlier release that this one replaces.
    replaces: Option<&'static str>,
}

const INDEXES: [Index; 6] = [
    // A statement with mailbox and day finds the row by this index as exactly as by the primary key. An index of the
    // day alone is a trap: with outdated estimates the planner reads a whole day of the fleet for one mailbox.
    Index { name: "mailbox_days_by_day", on: "mailbox_days (day, mailbox_id)", replaces: Some("mailbox_days_day") },
    // The maintenance jobs delete the oldest rows by these.
    Index { name: "user_days_by_day", on: "user_days (day, user_id)", replaces: None },
    Index { name: "events_at", on: "events (at)", replaces: None },
    Index {
        name: "scheduled_replies_ended",
        on: "scheduled_replies (due_at) WHERE state NOT IN ('waiting', 'claimed')",
        replaces: None,
    },
    // Each scrape and each status counts these mailboxes, and there are usually few.
    Index { name: "mailboxes_unverified", on: "mailboxes (id) WHERE verified_by IS NULL", replaces: None },
    // A settle looks for the mailboxes of a host whose last mail failed; there are usually few.
    Index { name: "mailboxes_failing", on: "mailboxes (lower(smtp_host)) WHERE failures > 0", replaces: None },
];

/// Builds the indexes that are missing or invalid, and returns their number. Blocks no reader and no writer, but takes
/// as long as the oldest transaction in the database, and minutes for a table of many gigabytes.
pub async fn build_indexes(connection: &mut PgConnection) -> Result<usize, MigrateError> {
    const UNLOCK: &str = "SELECT pg_advisory_unlock(hashtext('warmup indexes'))";
    lock(connection).await?;
    let built = build_all(connection).await;
    sqlx::query(UNLOCK).execute(connection).await?;
    built
}

/// Waits for the pod that builds now, by short statements.
async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    const TRY: &str = "SELECT pg_try_advisory_lock(hashtext('warmup indexes'))";
    while !sqlx::query_scalar(TRY).fetch_one(&mut *connection).await? {
        sqlx::query("SELECT pg_sleep(0.1)").execute(&mut *connection).await?;
    }
    Ok(())
}

async fn build_all(connection: &mut PgConnection) -> Result<usize, MigrateError> {
    let mut built = 0;
    for index in &INDEXES {
        let failed = |error| MigrateError::Index { name: index.name, error };
        built += usize::from(build(connection, index).await.map_err(failed)?);
    }
    Ok(built)
}

/// Builds the index if it is missing or invalid. Returns whether it built the index.
async fn build(connection: &mut PgConnection, index: &Index) -> Result<bool, sqlx::Error> {
    const VALID: &str = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)";
    let Index { name, on, replaces } = index;
    let valid: Option<bool> = sqlx::query_scalar(VALID).bind(name).fetch_optional(&mut *connection).await?;
    if valid == Some(false) {
        tracing::warn!(index = name, "an earlier build of this index was interrupted: it is built again");
        run(connection, format!("DROP INDEX CONCURRENTLY IF EXISTS {name}")).await?;
    }
    if valid != Some(true) {
        tracing::info!(index = name, "building an index beside the running fleet");
        run(connection, format!("CREATE INDEX CONCURRENTLY {name} ON {on}")).await?;
    }
    if let Some(old) = replaces {
        run(connection, format!("DROP INDEX CONCURRENTLY IF EXISTS {old}")).await?;
    }
    Ok(valid != Some(true))
}

/// Runs one statement by the simple protocol: CONCURRENTLY refuses to be part of a transaction.
async fn run(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    // Every part of the statement is a constant of this file.
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}
