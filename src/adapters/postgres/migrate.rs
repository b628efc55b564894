//! `migrate` brings the database to this release and creates its permanent parts: a row per shard, a log partition per
//! day.
//!
//! The number of shards may change with the settings. Then one transaction moves every mailbox and every in-flight mail
//! to its new shard; it first locks all shard rows and raises their epochs. Workers must be stopped for it. A worker
//! that goes unnoticed loses its shards at once, because its reserves find an old epoch.

mod indexes;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{Connection, PgConnection, PgPool, migrate::Migrator};
use thiserror::Error;

pub use self::indexes::build_indexes;
use super::pool::WORKER;
use crate::domain::{id::MailboxId, shard::shard_of};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// The number of days ahead for which partitions are made: a fleet without a leader has a log for two weeks.
const DAYS_AHEAD: u64 = 14;
/// The number of days behind: a mailbox's day can be one behind the UTC date, and a mail may end in its following
/// night.
const DAYS_BEHIND: u64 = 2;
/// The number of rows per statement.
const CHUNK: usize = 5_000;

/// A `MigrateError` states why the database was not brought to this release.
#[derive(Debug, Error)]
pub enum MigrateError {
    /// An applied migration differs from the one in this release, as sqlx reports.
    #[error("the database was migrated by another release: {0}; use the release that it belongs to, or a newer one")]
    Foreign(String),
    /// A migration failed; its transaction was rolled back.
    #[error("a migration failed and was rolled back: {0}")]
    Failed(String),
    /// The database has an unsuitable encoding; nothing was written.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// A connected worker uses the old number of shards.
    #[error(
        "the database has {found} shards and WARMUP_SHARDS says {wanted}: stop all workers before the number is changed; \
         Postgres has {sessions} sessions of workers"
    )]
    Working { found: i64, wanted: u16, sessions: i64 },
    /// An index could not be built beside the running fleet. The finished parts remain.
    #[error("index {name} was not built: {error}; run `warmup migrate` again")]
    Index { name: &'static str, error: sqlx::Error },
    /// The database did not answer.
    #[error("the database cannot be migrated: {0}")]
    Database(#[from] sqlx::Error),
}

/// An `EncodingError` reports a database that is not UTF-8. Mail hosts answer in any language; a row that the encoding
/// can't hold is rejected for good.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the database {database} has the encoding {encoding}, and warmup needs UTF8. An encoding can't be changed: create a new \
     database with CREATE DATABASE warmup ENCODING 'UTF8' TEMPLATE template0, copy an existing one there with pg_dump and psql, \
     and set DATABASE_URL to it"
)]
pub struct EncodingError {
    pub database: String,
    pub encoding: String,
}

/// Checks that the database can hold any text of a mail host, without writing. A worker checks this at its start. The
/// commands work on any encoding, so that a fleet in such a database can be examined and moved.
pub async fn check_encoding(pool: &PgPool) -> Result<(), SchemaError> {
    Ok(encoding(&mut *pool.acquire().await?).await??)
}

async fn encoding(connection: &mut PgConnection) -> Result<Result<(), EncodingError>, sqlx::Error> {
    const READ: &str = "SELECT current_database()::text, current_setting('server_encoding')";
    let (database, encoding): (String, String) = sqlx::query_as(READ).fetch_one(connection).await?;
    Ok(if encoding == "UTF8" { Ok(()) } else { Err(EncodingError { database, encoding }) })
}

/// `Migrated` reports the result of `migrate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Migrated {
    /// The newest migration of this release.
    pub version: i64,
    /// The number of migrations that were applied.
    pub applied: usize,
    /// The number of log partitions that were made.
    pub partitions: i32,
    /// The number of indexes that were built.
    pub indexes: usize,
    /// The number of shards before, if it changed.
    pub shards_before: Option<i64>,
    /// The number of mailboxes that moved to another shard.
    pub moved: usize,
}

/// Brings the database to this release and to `shards` shards, and makes its log partitions around `now`. Repeatable,
/// and safe to run from several pods at once.
pub async fn migrate(pool: &PgPool, shards: u16, now: DateTime<Utc>) -> Result<Migrated, MigrateError> {
    // Uses its own connection: a migration, or the wait for another pod, may outlast the statement timeout.
    let mut connection = pool.acquire().await?.detach();
    sqlx::query("SET statement_timeout = 0").execute(&mut connection).await?;
    encoding(&mut connection).await??;
    let before = applied(&mut connection).await?.len();
    MIGRATOR.run_direct(None, &mut connection, false).await.map_err(explain)?;
    let applied = applied(&mut connection).await?.len() - before;
    let (shards_before, moved) = ensure_shards(&mut connection, shards).await?;
    let partitions = partitions_around(&mut connection, now.date_naive()).await?;
    let indexes = build_indexes(&mut connection).await?;
    connection.close().await?;
    Ok(Migrated { version: newest(), applied, partitions, indexes, shards_before, moved })
}

/// Makes the log partitions from two days before `today` (UTC) to 14 days after. Returns the number of new ones.
pub async fn ensure_log_partitions(pool: &PgPool, today: NaiveDate) -> Result<i32, sqlx::Error> {
    partitions_around(&mut *pool.acquire().await?, today).await
}

async fn partitions_around(connection: &mut PgConnection, today: NaiveDate) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT ensure_log_partitions($1, $2)")
        .bind(today - Days::new(DAYS_BEHIND))
        .bind(today + Days::new(DAYS_AHEAD))
        .fetch_one(connection)
        .await
}

fn explain(error: sqlx::migrate::MigrateError) -> MigrateError {
    use sqlx::migrate::MigrateError as Fault;
    match error {
        Fault::Execute(error) => MigrateError::Database(error),
        Fault::ExecuteMigration(..) => MigrateError::Failed(error.to_string()),
        Fault::VersionMissing(_) | Fault::VersionMismatch(_) | Fault::VersionTooNew(..) | Fault::Dirty(_) => {
            MigrateError::Foreign(error.to_string())
        }
        other => MigrateError::Failed(other.to_string()),
    }
}

/// A `SchemaError` states why this release must not work on the database.
#[derive(Debug, Error)]
pub enum SchemaError {
    #[error("the database has no tables of warmup yet: run `warmup migrate`")]
    Empty,
    #[error("the database is at migration {found}, this release needs {needed}: run `warmup migrate`")]
    Behind { found: i64, needed: i64 },
    #[error(
        "this release is older than the database (migration {found}, this release knows {known}): use a newer warmup"
    )]
    Newer { found: i64, known: i64 },
    #[error(
        "migration {0} in the database is not the one of this release: use the release that the database belongs to"
    )]
    Foreign(i64),
    #[error(
        "the database has {found} shards, WARMUP_SHARDS says {wanted}: run `warmup migrate` to move the mailboxes, or set WARMUP_SHARDS={found}"
    )]
    Shards { found: i64, wanted: u16 },
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    #[error("the database's release cannot be read: {0}")]
    Database(#[from] sqlx::Error),
}

/// Checks whether this release may work on the present schema.
pub async fn check_schema(pool: &PgPool) -> Result<(), SchemaError> {
    let applied = applied(&mut *pool.acquire().await?).await?;
    let known = newest();
    let found = applied.last().ok_or(SchemaError::Empty)?.0;
    if found > known {
        return Err(SchemaError::Newer { found, known });
    }
    if let Some((foreign, ..)) = applied.iter().find(|(version, ..)| !MIGRATOR.version_exists(*version)) {
        return Err(SchemaError::Foreign(*foreign));
    }
    for migration in MIGRATOR.iter() {
        match applied.iter().find(|(version, ..)| *version == migration.version) {
            Some((_, true, checksum)) if migration.checksum == *checksum => {}
            Some((version, true, _)) => return Err(SchemaError::Foreign(*version)),
            _ => return Err(SchemaError::Behind { found, needed: known }),
        }
    }
    Ok(())
}

/// Checks that the database has the number of shards of the settings. A worker checks this at its start.
pub async fn check_shards(pool: &PgPool, shards: u16) -> Result<(), SchemaError> {
    match sqlx::query_scalar("SELECT count(*) FROM shards").fetch_one(pool).await? {
        found if found == i64::from(shards) => Ok(()),
        found => Err(SchemaError::Shards { found, wanted: shards }),
    }
}

fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Returns the applied migrations in order: version, success, checksum.
async fn applied(connection: &mut PgConnection) -> Result<Vec<(i64, bool, Vec<u8>)>, sqlx::Error> {
    let exists: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !exists {
        return Ok(Vec::new());
    }
    sqlx::query_as("SELECT version, success, checksum FROM _sqlx_migrations ORDER BY version")
        .fetch_all(connection)
        .await
}

/// Creates exactly `shards` shard rows, and moves the mailboxes if the number changed. Returns the number before, if it
/// changed, and the number of moved mailboxes.
async fn ensure_shards(connection: &mut PgConnection, shards: u16) -> Result<(Option<i64>, usize), MigrateError> {
    let mut transaction = connection.begin().await?;
    // Imports assign shards to new mailboxes under the shared side of this lock.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('warmup shards'))").execute(&mut *transaction).await?;
    let before: i64 = sqlx::query_scalar("SELECT count(*) FROM shards").fetch_one(&mut *transaction).await?;
    if before == i64::from(shards) {
        return Ok((None, 0));
    }
    let sessions: i64 = sqlx::query_scalar(WORKING).bind(WORKER).fetch_one(&mut *transaction).await?;
    if before > 0 && sessions > 0 {
        return Err(MigrateError::Working { found: before, wanted: shards, sessions });
    }
    // Locks all rows in key order, like a reserve; the raised epoch refuses every worker with the old number of shards.
    sqlx::query("SELECT 1 FROM shards ORDER BY shard FOR UPDATE").execute(&mut *transaction).await?;
    sqlx::query(RAISE_ALL).execute(&mut *transaction).await?;
    sqlx::query("DELETE FROM shards WHERE shard >= $1").bind(i32::from(shards)).execute(&mut *transaction).await?;
    sqlx::query(FILL_UP).bind(i32::from(shards)).execute(&mut *transaction).await?;
    let moved = move_mailboxes(&mut transaction, shards).await?;
    transaction.commit().await?;
    Ok(((before > 0).then_some(before), moved))
}

async fn move_mailboxes(connection: &mut PgConnection, shards: u16) -> Result<usize, sqlx::Error> {
    let stored: Vec<(i64, i32)> =
        sqlx::query_as("SELECT id, shard FROM mailboxes ORDER BY id").fetch_all(&mut *connection).await?;
    let moved: Vec<(i64, i32)> = stored
        .into_iter()
        .map(|(id, shard)| (id, shard, shard_of(MailboxId(id), shards).0))
        .filter_map(|(id, from, to)| (from != to).then_some((id, to)))
        .collect();
    // First all of in_flight, then all of mailboxes: the lock order of the schema.
    for table in [MOVE_FLIGHTS, MOVE_MAILBOXES] {
        for chunk in moved.chunks(CHUNK) {
            let (ids, shards): (Vec<i64>, Vec<i32>) = chunk.iter().copied().unzip();
            sqlx::query(table).bind(ids).bind(shards).execute(&mut *connection).await?;
        }
    }
    Ok(moved.len())
}

// A worker queries at every heartbeat, at least once a minute: a session that is idle for longer belongs to a dead
// worker.
const WORKING: &str = "
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = $1
      AND (state <> 'idle' OR state_change > now() - interval '2 minutes')";

// One epoch above all: a shard that is removed now and created again later must not have an epoch from before.
const RAISE_ALL: &str = "UPDATE shards SET epoch = (SELECT max(epoch) FROM shards) + 1, worker_id = NULL";

const FILL_UP: &str = "
    INSERT INTO shards (shard, epoch)
    SELECT generate_series(0, $1 - 1), (SELECT coalesce(max(epoch), 0) FROM shards) ON CONFLICT DO NOTHING";

const MOVE_FLIGHTS: &str = "
    WITH moved AS MATERIALIZED (
        SELECT f.id, moved.shard FROM unnest($1::bigint[], $2::integer[]) AS moved (mailbox_id, shard)
        JOIN in_flight f USING (mailbox_id) ORDER BY f.id FOR UPDATE OF f)
    UPDATE in_flight f SET shard = moved.shard FROM moved WHERE f.id = moved.id";

const MOVE_MAILBOXES: &str = "
    WITH moved AS MATERIALIZED (
        SELECT m.id, moved.shard FROM unnest($1::bigint[], $2::integer[]) AS moved (id, shard)
        JOIN mailboxes m USING (id) ORDER BY m.id FOR UPDATE OF m)
    UPDATE mailboxes m SET shard = moved.shard FROM moved WHERE m.id = moved.id";
