//! Orders of the operator while a worker is sending: no number gets wrong, and each takes effect.

use std::{fmt::Write, time::Duration};

use sqlx::PgPool;
use warmup_support::world::{eventually, postgres, redis};

use crate::{host::Host, process::Fleet, truth::broken};

const MAILBOXES: usize = 40;
const QUOTA: usize = 4;

/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const NEW_KEY: &str = "YW5vdGhlciBtYXN0ZXIga2V5IHRoYXQgaXMgMzIgYnk=";

fn address(n: usize) -> String {
    format!("box{n}@kill.test")
}

async fn number(pool: &PgPool, sql: &'static str, address: &str) -> i64 {
    sqlx::query_scalar(sql).bind(address).fetch_one(pool).await.unwrap()
}

/// Log rows in which the mailbox is sender or partner.
async fn rows_of(pool: &PgPool, address: &str) -> i64 {
    number(pool, "SELECT count(*) FROM logs WHERE sender = $1 OR recipient = $1", address).await
}

async fn in_flight(pool: &PgPool, address: &str) -> i64 {
    number(pool, "SELECT count(*) FROM in_flight WHERE sender = $1 OR recipient = $1", address).await
}

/// Mailboxes whose day is full.
async fn full(pool: &PgPool) -> i64 {
    let full = "SELECT count(*) FROM mailbox_days WHERE reserved = quota AND quota::text = $1";
    number(pool, full, &QUOTA.to_string()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_pauses_and_removals_beside_a_sending_worker_leave_every_number_right() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let pool = database.pool();
    let fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), MAILBOXES, QUOTA, &[]).await;
    let worker = fleet.start();
    eventually(PATIENCE, || async { host.message_ids().len() >= 8 }).await;

    fleet.command(&["mailbox", "pause", &address(0)], "").await;
    fleet.command(&["mailbox", "remove", &address(1)], "").await;
    // What was reserved before may still arrive; nothing is reserved after.
    eventually(PATIENCE, || async { in_flight(pool, &address(0)).await + in_flight(pool, &address(1)).await == 0 })
        .await;
    let (paused, removed) = (rows_of(pool, &address(0)).await, rows_of(pool, &address(1)).await);
    assert!(full(pool).await < MAILBOXES as i64 - 2, "the worker is still sending");
    for round in 0..5 {
        let mut csv = "email,password,smtp_host,smtp_port,display_name,reply_rate\n".to_owned();
        for n in 2..MAILBOXES {
            writeln!(csv, "{},secret-{round},,,Round {round},{round}", address(n)).unwrap();
        }
        let told = fleet.command(&["mailbox", "import", "-"], &csv).await;
        assert!(told.contains("38 changed"), "{told}");
        assert_eq!(broken(pool).await, [""; 0]);
    }
    eventually(PATIENCE, || async { full(pool).await >= MAILBOXES as i64 - 2 }).await;
    worker.stop().await;
    assert_eq!((rows_of(pool, &address(0)).await, rows_of(pool, &address(1)).await), (paused, removed));

    fleet.command(&["mailbox", "resume", &address(0)], "").await;
    // Another worker plans at once what the next tick would.
    let worker = fleet.start();
    eventually(PATIENCE, || async { full(pool).await >= MAILBOXES as i64 - 1 }).await;
    worker.stop().await;
    assert_eq!(rows_of(pool, &address(1)).await, removed);
    assert_eq!(broken(pool).await, [""; 0]);
    let accepted: i64 =
        sqlx::query_scalar("SELECT count(*) FROM logs WHERE status <> 'FAILED'").fetch_one(pool).await.unwrap();
    assert_eq!(accepted as usize, host.message_ids().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_key_was_rotated_away_stops_in_order_and_disables_nobody() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let pool = database.pool();
    let mut fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), MAILBOXES, QUOTA, &[]).await;
    let worker = fleet.start();
    eventually(PATIENCE, || async { host.message_ids().len() >= 8 }).await;

    let told = fleet.command(&["keys", "rotate", "--key-stdin"], NEW_KEY).await;
    assert!(told.contains("40 passwords"), "{told}");

    let (code, log) = worker.ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("the master key was rotated") && log.contains("start with the new key"), "{log}");
    let (code, log) = fleet.start().ended().await;
    assert!(code == Some(1) && log.contains("is not this database's"), "{log}");
    let states: Vec<String> = sqlx::query_scalar("SELECT DISTINCT state FROM mailboxes").fetch_all(pool).await.unwrap();
    assert_eq!(states, ["active"]);
    assert_eq!(broken(pool).await, [""; 0]);

    fleet.set("WARMUP_MASTER_KEY", NEW_KEY);
    let worker = fleet.start();
    eventually(PATIENCE, || async { full(pool).await == MAILBOXES as i64 }).await;
    worker.stop().await;
    assert_eq!(broken(pool).await, [""; 0]);
}
