//! Passwords of Postgres and Redis that are rotated under a sending worker: with the files that hold them it goes on, and
//! without them it stops in order, so that its supervisor starts it with the new ones.

use std::{fs, time::Duration};

use sqlx::{AssertSqlSafe, PgPool};
use tempfile::TempDir;
use warmup_support::world::{TestDatabase, TestRedis, eventually, postgres, redis};

use crate::{host::Host, process::Fleet, truth::broken};

const MAILBOXES: usize = 40;
/// More than is sent while a test lasts.
const QUOTA: usize = 30;

/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Users of a worker of its own in Postgres and Redis, whose passwords can be changed.
struct Users {
    database: TestDatabase,
    cache: TestRedis,
    /// Roles are the cluster's: the database's name makes this one the test's own.
    role: String,
}

impl Users {
    async fn make() -> Users {
        let (database, cache) = (postgres().await, redis().await);
        let role = format!("rotated_{}", database.url().rsplit('/').next().unwrap());
        let users = Users { database, cache, role };
        users.execute(format!("CREATE ROLE {} SUPERUSER LOGIN PASSWORD 'one'", users.role)).await;
        users.redis(&["ACL", "SETUSER", "worker", "on", ">one", "~*", "&*", "+@all"]).await;
        users
    }

    fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    fn database_url(&self, password: &str) -> String {
        let (_, server) = self.database.url().split_once('@').unwrap();
        format!("postgres://{}:{password}@{server}", self.role)
    }

    fn redis_url(&self, password: &str) -> String {
        let url = self.cache.url();
        let (_, server) = url.split_once('@').unwrap();
        format!("redis://worker:{password}@{server}")
    }

    /// Changes Postgres' password, and ends the sessions that the old one opened.
    async fn rotate_postgres(&self) {
        self.execute(format!("ALTER ROLE {} PASSWORD 'two'", self.role)).await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1";
        sqlx::query(end).bind(&self.role).execute(self.pool()).await.unwrap();
    }

    async fn rotate_redis(&self) {
        self.redis(&["ACL", "SETUSER", "worker", "resetpass", ">two"]).await;
        self.redis(&["CLIENT", "KILL", "USER", "worker"]).await;
    }

    async fn execute(&self, sql: String) {
        sqlx::query(AssertSqlSafe(sql)).execute(self.pool()).await.unwrap();
    }

    async fn redis(&self, words: &[&str]) {
        let client = redis::Client::open(self.cache.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query_async::<redis::Value>(&mut connection).await.unwrap();
    }

    async fn fleet(&self, host: &Host) -> Fleet {
        let (database, url) = (&self.database, self.database_url("one"));
        let mut fleet = Fleet::enrol(database, &url, &self.cache, host.port(), MAILBOXES, QUOTA, &[]).await;
        fleet.set("REDIS_URL", &self.redis_url("one"));
        fleet
    }
}

async fn sends_more(host: &Host) {
    let before = host.message_ids().len();
    eventually(PATIENCE, || async { host.message_ids().len() >= before + 8 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_goes_on_without_a_restart_when_the_files_hold_the_new_passwords() {
    let (users, host, folder) = (Users::make().await, Host::start().await, TempDir::new().unwrap());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (database, cache) = (file("database"), file("redis"));
    fs::write(&database, format!("{}\n", users.database_url("one"))).unwrap();
    fs::write(&cache, format!("{}\n", users.redis_url("one"))).unwrap();
    let mut fleet = users.fleet(&host).await;
    for (name, value) in [
        ("DATABASE_URL", ""),
        ("REDIS_URL", ""),
        ("DATABASE_URL_FILE", database.as_str()),
        ("REDIS_URL_FILE", cache.as_str()),
    ] {
        fleet.set(name, value);
    }
    let worker = fleet.start();
    sends_more(&host).await;

    users.rotate_postgres().await;
    fs::write(&database, users.database_url("two")).unwrap();
    sends_more(&host).await;

    users.rotate_redis().await;
    fs::write(&cache, users.redis_url("two")).unwrap();
    sends_more(&host).await;

    assert!(!worker.said().contains("stopping"), "{}", worker.said());
    worker.stop().await;
    assert_eq!(broken(users.pool()).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_has_only_the_old_password_stops_in_order_and_says_what_to_do() {
    let (users, host) = (Users::make().await, Host::start().await);
    let mut fleet = users.fleet(&host).await;
    const RUN: [&str; 3] = ["run", "--credentials-patience-ms", "3000"];
    let worker = fleet.start_as(&RUN);
    sends_more(&host).await;

    users.rotate_redis().await;

    let (code, log) = worker.ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("Redis has refused the user or the password in REDIS_URL"), "{log}");
    assert!(log.contains("no more mails are started"), "it drains as at any stop: {log}");
    let warned = log.matches("refuses the user or the password in REDIS_URL").count();
    assert_eq!(warned, 1, "once at WARN: {log}");

    let event = "SELECT reason FROM events WHERE kind = 'credentials-refused'";
    let events: Vec<String> = sqlx::query_scalar(event).fetch_all(users.pool()).await.unwrap();
    assert_eq!(events, ["redis"]);

    fleet.set("REDIS_URL", &users.redis_url("two"));
    let worker = fleet.start_as(&RUN);
    sends_more(&host).await;
    users.rotate_postgres().await;
    let (code, log) = worker.ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("Postgres has refused the user or the password in DATABASE_URL"), "{log}");
    // The next start is refused at once: a supervisor starts it again until it has the new password.
    let (code, log) = fleet.start().ended().await;
    assert!(code == Some(1) && log.contains("check user, password and database in DATABASE_URL"), "{log}");
    assert!(!log.contains("one@"), "{log}");
}
