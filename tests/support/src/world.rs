//! This module starts real services for a test: an own database, an own Redis, and `eventually`, which waits
//! for a condition.
//!
//! All databases of a test binary are in one temporary cluster, copied from a template that is migrated once.
//! A static holds the cluster, and Rust never drops statics. Its watcher sees this process end, stops the
//! cluster and removes its folder (`warmup::local::servers`). Redis starts in 25 ms, so every test that needs
//! one has its own.
//!
//! A server that does not start fails the test; it never skips the test.

use std::{
    future::Future,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::OnceCell;
use warmup::{
    adapters::postgres::migrate,
    local::servers::{PrivatePostgres, PrivateRedis},
};

/// A migrated database that no other test uses.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    pool: PgPool,
}

impl TestDatabase {
    /// Returns the URL with its password, for code that opens its own connections.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns a pool of up to 20 connections, for the test itself and for adapters.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

/// A Redis that no other test uses: `url()`, `halt()` for an outage, `start_again()` after it.
pub type TestRedis = PrivateRedis;

struct Cluster {
    server: PrivatePostgres,
    made: AtomicU32,
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

/// The template of every test's database: the cluster's own database, migrated.
const TEMPLATE: &str = "warmup";

/// Returns a fresh database, migrated to this release.
pub async fn postgres() -> TestDatabase {
    let database = database_like(TEMPLATE).await;
    sqlx::query("SELECT FROM mailboxes").execute(database.pool()).await.expect("the copy holds the migrated tables");
    database
}

/// Returns a new empty database, for tests of the migrations themselves.
pub async fn empty_postgres() -> TestDatabase {
    database_like("template0").await
}

/// Returns a fresh, empty Redis.
pub async fn redis() -> TestRedis {
    PrivateRedis::temporary().await.unwrap_or_else(|error| panic!("{error}"))
}

/// Waits until `holds` returns true, checks it every few milliseconds, and fails the test after `deadline`.
pub async fn eventually<F, Fut>(deadline: Duration, mut holds: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let asked = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let held = tokio::time::timeout(deadline, asked).await;
    assert!(held.is_ok(), "what should become true did not within {deadline:?}");
}

/// Returns a new empty database with another encoding, which `migrate` refuses.
pub async fn postgres_in(encoding: &str) -> TestDatabase {
    database_with(&format!("ENCODING '{encoding}' TEMPLATE template0")).await
}

/// Migrates a database to this release without the check of its encoding, as an earlier release did.
pub async fn migrate_unchecked(database: &TestDatabase) {
    let migrations = sqlx::migrate!("../../migrations");
    migrations.run(database.pool()).await.expect("the migrations run on an empty database");
}

/// Moves the enrolment of all mailboxes of the database at `url` to an earlier day. So in the middle of their
/// windows they have as many due mails as on any day.
pub async fn enrolled_long_ago(url: &str) {
    let mut connection = PgConnection::connect(url).await.expect("the database is up");
    let earlier = "UPDATE mailboxes SET enrolled_at = enrolled_at - interval '9 days'";
    sqlx::query(earlier).execute(&mut connection).await.expect("the database is migrated");
    connection.close().await.expect("the database is up");
}

async fn database_like(template: &str) -> TestDatabase {
    database_with(&format!("TEMPLATE {template}")).await
}

async fn database_with(options: &str) -> TestDatabase {
    let cluster = CLUSTER.get_or_init(start_cluster).await;
    let name = format!("test_{}", cluster.made.fetch_add(1, Ordering::Relaxed));
    // A connection of this test's own: a pool in a static would belong to the runtime of the first test.
    let mut admin = PgConnection::connect(&sibling(cluster.server.url(), "postgres")).await.expect("the cluster is up");
    let create = format!("CREATE DATABASE {name} {options}");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut admin).await.expect("a name of our own is free");
    admin.close().await.expect("the cluster is up");

    let url = sibling(cluster.server.url(), &name);
    let options: PgConnectOptions = url.parse().expect("a private server's address is well-formed");
    let pool = PgPoolOptions::new().max_connections(20).connect_lazy_with(options);
    TestDatabase { url, pool }
}

async fn start_cluster() -> Cluster {
    let server = PrivatePostgres::temporary().await.unwrap_or_else(|error| panic!("{error}"));
    let mut connection = PgConnection::connect(server.url()).await.expect("the cluster is up");
    sqlx::migrate!("../../migrations").run(&mut connection).await.expect("the migrations run on an empty database");
    migrate::build_indexes(&mut connection).await.expect("the indexes build on an empty database");
    // Postgres refuses to copy a database while a client is connected to it.
    connection.close().await.expect("the cluster is up");
    Cluster { server, made: AtomicU32::new(0) }
}

/// Returns the address of another database of the same cluster.
fn sibling(url: &str, name: &str) -> String {
    let (server, _) = url.rsplit_once('/').expect("a private server's address ends in its database");
    format!("{server}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn databases_are_separate_and_migrated() {
        let (one, other) = tokio::join!(postgres(), postgres());
        sqlx::query("INSERT INTO users (email) VALUES ('a@example.org')").execute(one.pool()).await.unwrap();
        let count = async |database: &TestDatabase| -> i64 {
            sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(database.pool()).await.unwrap()
        };
        assert_eq!(count(&one).await, 2);
        assert_eq!(count(&other).await, 1);
    }

    #[tokio::test]
    async fn an_empty_database_is_empty() {
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        let count: i64 = sqlx::query_scalar(tables).fetch_one(empty_postgres().await.pool()).await.unwrap();
        assert_eq!(count, 0);
    }

    #[tokio::test]
    #[should_panic(expected = "did not within")]
    async fn what_never_becomes_true_fails_the_test() {
        eventually(Duration::from_millis(20), || async { false }).await;
    }
}
