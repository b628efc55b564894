//! Builds the indexes of large tables while the fleet works.
//!
//! A migration runs in a transaction, and CREATE INDEX in a transaction blocks every writer until the whole table is read:
//! minutes for the replies of 90 days. `build_indexes` runs CREATE INDEX CONCURRENTLY after the migrations instead. It is
//! repeatable: an index that an interrupted build left invalid is dropped and built again.
//!
//! CREATE INDEX CONCURRENTLY waits for every older statement in the database. Pods that migrate together therefore poll for
//! the lock: a pod that waited for the lock inside a statement would hold up the build, and the build the pod.

use sqlx::{AssertSqlSafe, PgConnection};

use super::MigrateError;

/// An index that is built concurrently.
struct Index {
    name: &'static str,
    /// The table and what follows it in CREATE INDEX.
    on: &'static str,
    /// An index of an earlier release that this one makes needless.
    replaces: Option<&'static str>,
}

const INDEXES: [Index; 6] = [
    // A statement that knows mailbox and day finds the row by this index as exactly as by the primary key. An index of the
    // day alone is a trap: estimates that are out of date make the planner read a whole day of the fleet for one mailbox.
    Index { name: "mailbox_days_by_day", on: "mailbox_days (day, mailbox_id)", replaces: Some("mailbox_days_day") },
    // These are for the maintenance jobs, which delete the oldest rows.
    Index { name: "user_days_by_day", on: "user_days (day, user_id)", replaces: None },
    Index { name: "events_at", on: "events (at)", replaces: None },
    Index {
        name: "scheduled_replies_ended",
        on: "scheduled_replies (due_at) WHERE state NOT IN ('waiting', 'claimed')",
        replaces: None,
    },
    // Each scrape and each status counts them, and mostly there are few.
    Index { name: "mailboxes_unverified", on: "mailboxes (id) WHERE verified_by IS NULL", replaces: None },
    // A settlement looks for the mailboxes of a host whose last mail failed; mostly there are few.
    Index { name: "mailboxes_failing", on: "mailboxes (lower(smtp_host)) WHERE failures > 0", replaces: None },
];

/// Builds the indexes that are missing or invalid, and returns how many. Blocks no reader and no writer, but takes as long as
/// the oldest transaction in the database, and minutes for a table of many gigabytes.
pub async fn build_indexes(connection: &mut PgConnection) -> Result<usize, MigrateError> {
    const UNLOCK: &str = "SELECT pg_advisory_unlock(hashtext('warmup indexes'))";
    lock(connection).await?;
    let built = build_all(connection).await;
    sqlx::query(UNLOCK).execute(connection).await?;
    built
}

/// Waits for the pod that builds now, without a statement that lasts.
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

/// Returns whether the index was missing or invalid.
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
    // Every word of it is a constant of this file.
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}
