//! The caps as the mail host sees them, while the ledger is locked for a minute and Redis forgets everything.

use std::time::{Duration, Instant};

use warmup_support::world::{eventually, postgres, redis};

use crate::{first_mails::get, host::Host, process::Fleet};

const LIMIT: usize = 60;
const MINUTE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(90);

/// A grant holds for three seconds.
const TOO_OLD: Duration = Duration::from_millis(3_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_minute_passes_the_cap_when_the_ledger_is_locked_and_redis_forgets() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let fleet = Fleet::enrol(
        &database,
        database.url(),
        &cache,
        host.port(),
        100,
        2,
        &[
            ("WARMUP_GLOBAL_MINUTE_LIMIT", "60"),
            ("WARMUP_MAILBOX_COOLDOWN_MIN_MS", "0"),
            ("WARMUP_MAILBOX_COOLDOWN_MAX_MS", "0"),
            ("WARMUP_MAX_CONCURRENT", "20"),
        ],
    )
    .await;
    let worker = fleet.start();
    eventually(PATIENCE, || async { host.taken() >= 15 }).await;

    let mut holder = database.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM mailbox_days FOR UPDATE").fetch_all(&mut *holder).await.unwrap();
    // The minute itself is what is tested: nothing else says when it is over.
    tokio::time::sleep(MINUTE / 2).await;
    let locked = host.taken();
    flush(&cache.url()).await;
    tokio::time::sleep(MINUTE / 2).await;
    assert_eq!(host.taken(), locked, "nothing goes out while nothing can be reserved");
    holder.rollback().await.unwrap();

    eventually(PATIENCE, || async { host.taken() >= locked + 10 }).await;
    // Once more, only for as long as it takes a grant to become too old.
    let mut holder = database.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM mailbox_days FOR UPDATE").fetch_all(&mut *holder).await.unwrap();
    eventually(PATIENCE, || async { reserves_waiting(database.pool()).await > 0 }).await;
    tokio::time::sleep(TOO_OLD).await;
    holder.rollback().await.unwrap();
    worker.says("too late for the grants").await;
    let before = host.taken();
    eventually(PATIENCE, || async { host.taken() >= before + 10 }).await;
    let reported = "SELECT count(*) FROM worker_heartbeats WHERE grants_expired > 0 AND grants_expired_at IS NOT NULL";
    let is_reported = async || sqlx::query_scalar::<_, i64>(reported).fetch_one(database.pool()).await.unwrap() == 1;
    eventually(PATIENCE, is_reported).await;
    let (said, metrics) = (worker.said(), get(&worker.address(), "/metrics").await);
    assert_eq!(said.matches("too late for the grants of a batch").count(), 1, "a warning is logged once: {said}");
    let counted = |line: &str| line.starts_with("warmup_grants_expired_total ") && !line.ends_with(" 0");
    assert!(metrics.lines().any(counted), "{metrics}");
    worker.stop().await;
    let instants: Vec<Instant> = host.journal().into_iter().map(|(at, _)| at).collect();
    let most = (0..instants.len())
        .map(|first| instants[first..].iter().take_while(|at| **at - instants[first] < MINUTE).count())
        .max();
    println!("{} mails; the tightest minute holds {most:?} of {LIMIT}", instants.len());
    assert!(most.is_some_and(|most| most <= LIMIT));
    let (released, lost): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT COALESCE(sum(released), 0) FROM batches)::bigint,
                (SELECT sum(reserved - sent - uncertain) FROM mailbox_days)::bigint",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert!(released > 0, "grants that waited for the lock are thrown away with their places");
    assert_eq!(lost, 0, "no place is lost");
}

async fn reserves_waiting(pool: &sqlx::PgPool) -> i64 {
    const WAITING: &str = "
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '-- Reserve:%'";
    sqlx::query_scalar(WAITING).fetch_one(pool).await.unwrap()
}

async fn flush(url: &str) {
    let client = ::redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = ::redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
}
