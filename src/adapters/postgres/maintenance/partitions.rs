//! `retire` removes old days of the log as whole partitions, while the log is read and written.
//!
//! ```text
//!   attached ──DETACH CONCURRENTLY──▶ pending ──(earlier users of the log finish)──▶ detached ──DROP──▶ gone
//!                    └── killed, or another transaction takes too long: FINALIZE continues from here
//! ```
//!
//! *Why concurrently*: a plain DETACH or DROP locks all of `logs`, so every settle would wait behind one open report.
//! *Why a lock time-out*: only `retire` waits for that report, but its wait must end; the next attempt finishes a
//! pending partition. Postgres permits one pending partition at a time, so that one goes first.

use std::time::Duration;

use chrono::NaiveDate;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool};

use crate::{
    adapters::postgres::classify::classify,
    ports::{PortError, PruneReport},
};

/// The limit of one step's wait for the users of the log.
const LOCK_TIMEOUT: &str = "2s";

/// The time limit of one partition: longer than the server's own time-outs, so that it only expires when the network
/// fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// The query of every partition to remove, pending ones first, whatever their age: they block the others. A detached
/// partition has no parent; its name and its columns identify it.
const OLD: &str = "
    SELECT c.relname::text, CASE WHEN i.inhrelid IS NULL THEN 'detached' WHEN i.inhdetachpending THEN 'pending' ELSE 'attached' END,
           c.relname < 'logs_' || to_char($1::date, 'YYYYMMDD') AS old
    FROM pg_class c
    JOIN pg_class logs ON logs.oid = 'logs'::regclass AND logs.relnamespace = c.relnamespace
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = logs.oid
    WHERE c.relkind = 'r' AND c.relname ~ '^logs_[0-9]{8}$'
      AND (SELECT count(*) FROM pg_attribute a
           WHERE a.attrelid = c.oid AND a.attname IN ('day', 'mailbox_id', 'message_id') AND NOT a.attisdropped) = 3
      AND (i.inhdetachpending IS TRUE OR c.relname < 'logs_' || to_char($1::date, 'YYYYMMDD'))
    ORDER BY i.inhdetachpending IS NOT TRUE, i.inhrelid IS NOT NULL, c.relname";

/// Removes the first partition that is older than `before`. Repeatable after an interruption at any point.
pub(super) async fn retire(pool: &PgPool, before: NaiveDate) -> Result<PruneReport, PortError> {
    // Uses its own connection: the time-outs must not stay behind on a pooled one.
    let options =
        (*pool.connect_options()).clone().options([("lock_timeout", LOCK_TIMEOUT), ("statement_timeout", "60s")]);
    let retiring = async {
        let mut connection = options.connect().await.map_err(|error| PortError::Unavailable(error.to_string()))?;
        let answer = retire_first(&mut connection, before).await;
        // A failed close loses nothing.
        drop(connection.close().await);
        answer.map_err(classify)
    };
    let silent = |_| Err(PortError::Unknown(format!("no answer within {} s", PATIENCE.as_secs())));
    tokio::time::timeout(PATIENCE, retiring).await.unwrap_or_else(silent)
}

async fn retire_first(connection: &mut PgConnection, before: NaiveDate) -> Result<PruneReport, sqlx::Error> {
    let old: Vec<(String, String, bool)> = sqlx::query_as(OLD).bind(before).fetch_all(&mut *connection).await?;
    let Some((partition, state, old_enough)) = old.first() else { return Ok(PruneReport::default()) };
    match state.as_str() {
        "attached" => run(connection, format!("ALTER TABLE logs DETACH PARTITION {partition} CONCURRENTLY")).await?,
        "pending" => run(connection, format!("ALTER TABLE logs DETACH PARTITION {partition} FINALIZE")).await?,
        _ => {}
    }
    if *old_enough {
        run(connection, format!("DROP TABLE IF EXISTS {partition}")).await?;
        tracing::info!(partition, "a day of the log is past its retention: dropped");
    }
    Ok(PruneReport { gone: u64::from(*old_enough), more: old.len() > 1 })
}

/// Runs one statement by the simple protocol: a concurrent DETACH refuses to be part of a transaction.
async fn run(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    // The name matched a pattern of lower-case letters, an underscore and digits.
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}
