//! Mailboxes enter the database, and what is told about them.

#[path = "enrol/alerts.rs"]
mod alerts;
#[path = "enrol/caps.rs"]
mod caps;
#[path = "enrol/commands.rs"]
mod commands;
#[path = "enrol/domains.rs"]
mod domains;
#[path = "enrol/events.rs"]
mod events;
#[path = "enrol/flags.rs"]
mod flags;
#[path = "enrol/import.rs"]
mod import;
#[path = "enrol/keyring.rs"]
mod keyring;
#[path = "enrol/migrate.rs"]
mod migrate;
#[path = "enrol/older.rs"]
mod older;
#[path = "enrol/overview.rs"]
mod overview;
#[path = "enrol/pauses.rs"]
mod pauses;
#[path = "enrol/places.rs"]
mod places;
#[path = "enrol/prompt.rs"]
mod prompt;
#[path = "enrol/rotate.rs"]
mod rotate;
#[path = "enrol/standing.rs"]
mod standing;
#[path = "enrol/starting.rs"]
mod starting;
#[path = "enrol/templates.rs"]
mod templates;
#[path = "enrol/users.rs"]
mod users;
#[path = "enrol/verified.rs"]
mod verified;
#[path = "enrol/watch.rs"]
mod watch;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use warmup::{
    adapters::{postgres::migrate::migrate as bring_up, seal::Sealer},
    admin::import::{ImportError, ImportReport, Options, import as import_csv},
    domain::{enrolment::Rules, id::MailboxId},
};
use warmup_support::world::{self, TestDatabase};

const KEY: [u8; 32] = [11; 32];
const HEADER: &str = "email,password,smtp_host,smtp_port";
/// In every password of these tests; must turn up nowhere.
const CANARY: &str = "canary-nightjar";

const RULES: Rules =
    Rules { timezone: chrono_tz::Europe::Berlin, daily_max: 30, allow_plaintext: false, allow_private_hosts: false };

/// A Tuesday, 10:00 in Berlin.
fn now() -> DateTime<Utc> {
    "2026-11-24T09:00:00Z".parse().unwrap()
}

fn sealer() -> Sealer {
    Sealer::new(&KEY)
}

/// How long a mailbox that was enrolled or resumed is starting.
const COOLDOWN: std::time::Duration = std::time::Duration::from_secs(600);

/// Lets all mailboxes have been enrolled on an earlier day.
async fn long_ago(pool: &PgPool) {
    let earlier = "UPDATE mailboxes SET enrolled_at = enrolled_at - interval '9 days', able_since = NULL";
    sqlx::query(earlier).execute(pool).await.unwrap();
}

/// A database as `warmup migrate` leaves it.
async fn database() -> TestDatabase {
    let database = world::postgres().await;
    bring_up(database.pool(), 256, now()).await.unwrap();
    database
}

async fn import(pool: &PgPool, csv: &str) -> Result<ImportReport, ImportError> {
    import_with(pool, csv, false).await
}

async fn import_with(pool: &PgPool, csv: &str, dry_run: bool) -> Result<ImportReport, ImportError> {
    let options = Options { now: now(), dry_run, progress: &|_, _| {} };
    import_csv(pool, &sealer(), &RULES, csv.as_bytes(), &options).await
}

/// The header and these lines, each with `, further` columns where the header has them.
fn csv(lines: &[&str]) -> String {
    format!("{HEADER}\n{}\n", lines.join("\n"))
}

/// A file of `count` mailboxes, ten in a domain.
fn many(count: usize) -> String {
    let line = |at: usize| format!("m{at}@d{}.example,{CANARY}-{at},smtp.d{}.example,587\n", at / 10, at / 10);
    format!("{HEADER}\n{}", (0..count).map(line).collect::<String>())
}

async fn id_of(pool: &PgPool, email: &str) -> MailboxId {
    let id = sqlx::query_scalar("SELECT id FROM mailboxes WHERE lower(email) = lower($1)").bind(email);
    MailboxId(id.fetch_one(pool).await.unwrap())
}

async fn count(pool: &PgPool, table: &'static str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).fetch_one(pool).await.unwrap()
}

/// Every value of every table, as text; bytes in hexadecimal.
async fn dump(pool: &PgPool) -> String {
    let tables: Vec<String> = sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
        .fetch_all(pool)
        .await
        .unwrap();
    let mut text = String::new();
    for table in tables {
        let select = format!("SELECT row::text FROM {table} AS row");
        let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(select)).fetch_all(pool).await.unwrap();
        text.push_str(&rows.join("\n"));
    }
    text
}

/// Lets everybody read `table` but nobody write it, runs `racers`, and lets them write only once `waiting` of them wait
/// for some lock: so they all have read before any has written, unless something holds them apart.
async fn all_read_before_any_writes<T>(
    pool: &PgPool,
    table: &'static str,
    waiting: i64,
    racers: impl Future<Output = T>,
) -> T {
    const WAITING: &str =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut gate = pool.begin().await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("LOCK TABLE {table} IN SHARE MODE"))).execute(&mut *gate).await.unwrap();
    let open = async {
        let all_wait = async || sqlx::query_scalar::<_, i64>(WAITING).fetch_one(pool).await.unwrap() == waiting;
        world::eventually(std::time::Duration::from_secs(20), all_wait).await;
        gate.rollback().await.unwrap();
    };
    tokio::join!(racers, open).0
}
