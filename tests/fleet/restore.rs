//! The documented restore (docs/DEPLOYMENT.md): a database that is set back to a dump, under real workers.

use std::{path::Path, time::Duration};

use sqlx::PgPool;
use tempfile::TempDir;
use tokio::process::Command;
use warmup_support::world::{TestDatabase, eventually, postgres, redis};

use crate::{host::Host, process::Fleet};

const MAILBOXES: usize = 20;
const QUOTA: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

async fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().await.unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn dump(url: &str, file: &Path) {
    run("pg_dump", &["--format=custom", &format!("--file={}", file.display()), url]).await;
}

/// Into an emptied database: `pg_restore --clean` can't drop the keys of partitions.
async fn restore(database: &TestDatabase, file: &Path) {
    sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").execute(database.pool()).await.unwrap();
    let to = format!("--dbname={}", database.url());
    run("pg_restore", &["--single-transaction", &to, &file.display().to_string()]).await;
}

async fn number(pool: &PgPool, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_sends_nothing_before_it_is_fenced_and_again_from_the_next_day_on() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), MAILBOXES, QUOTA, &[]).await;
    let (folder, pool) = (TempDir::new().unwrap(), database.pool());
    let file = folder.path().join("warmup.dump");
    dump(database.url(), &file).await;

    let worker = fleet.start();
    eventually(PATIENCE, async || host.taken() >= MAILBOXES).await;
    worker.stop().await;
    let sent = host.taken();
    restore(&database, &file).await;
    assert_eq!(number(pool, "SELECT count(*) FROM logs").await, 0, "the ledger has lost it all");

    // A start without any command.
    let worker = fleet.start();
    worker.says("the database was set back").await;
    const STOPPED: &str = "SELECT count(*) FROM fleet_orders WHERE NOT running AND set_back_at IS NOT NULL";
    eventually(PATIENCE, async || number(pool, STOPPED).await == 1).await;
    assert_eq!(number(pool, "SELECT count(*) FROM events WHERE reason = 'set-back'").await, 1);
    for start in [&["fleet", "start"][..], &["fleet", "start", "--after-restore"]] {
        let (done, said) = fleet.order(start).await;
        assert!(!done && said.contains("warmup fleet fence"), "{said}");
    }
    worker.stop().await;
    assert_eq!(host.taken(), sent, "nothing is sent on the word of a database that was set back");

    let said = fleet.command(&["fleet", "fence", "--yes"], "").await;
    assert!(said.contains("today is closed for 20 mailboxes"), "{said}");
    fleet.command(&["fleet", "fence", "--yes"], "").await;
    let said = fleet.command(&["fleet", "start", "--after-restore"], "").await;
    assert!(said.contains("the fleet is started"), "{said}");
    let worker = fleet.start();
    worker.says("tick").await;
    let settled = "SELECT count(*) FROM mailbox_days WHERE closed AND reason = 'fenced'";
    assert_eq!(number(pool, settled).await, MAILBOXES as i64);
    // What each had received is lost too: from zones in which it is the next day already, it gets nothing more.
    let full = "SELECT count(*) FROM received_days WHERE received >= 4 + 10";
    assert_eq!(number(pool, full).await, MAILBOXES as i64);
    worker.stop().await;
    assert_eq!(host.taken(), sent, "nobody sends more on that day");
    assert!(!fleet.start_says_set_back().await, "the marks from before the fence are void");

    // The next day, for the database: what was closed was yesterday's.
    sqlx::raw_sql("UPDATE mailbox_days SET day = day - 1; UPDATE received_days SET day = day - 1")
        .execute(pool)
        .await
        .unwrap();
    let worker = fleet.start();
    eventually(PATIENCE, async || host.taken() == sent + MAILBOXES * QUOTA).await;
    worker.stop().await;
    let sent = host.taken();
    const FULL: &str = "SELECT count(*) FROM mailbox_days WHERE NOT closed AND sent = 4";
    assert_eq!(number(pool, FULL).await, MAILBOXES as i64, "and nobody sends more than the quota");

    // The same dump once more: the order and the fence are rows of the database that is gone.
    restore(&database, &file).await;
    let worker = fleet.start();
    worker.says("the database was set back").await;
    worker.stop().await;
    assert_eq!(host.taken(), sent);
}

impl Fleet {
    /// Starts a worker, waits for its first shards, and returns whether it found the database set back.
    async fn start_says_set_back(&self) -> bool {
        let worker = self.start();
        worker.says("acquired shards").await;
        let found = worker.said().contains("the database was set back");
        worker.stop().await;
        found
    }
}
