//! What a batch costs, as the servers count it: one script for the caps, one statement to reserve, one to settle.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use sqlx::{PgPool, Row};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::Mutex,
};
use warmup::{
    adapters::redis::RedisCaps,
    domain::{caps::CapLimits, id::UserId},
    ports::Caps,
};
use warmup_support::{
    asks,
    redis_server::connect,
    world::{eventually, postgres, redis},
};

use crate::{host::Host, process::Fleet};

const WIDE: CapLimits = CapLimits {
    global_hour: 1_000_000,
    global_minute: 100_000,
    user_hour: 1_000_000,
    user_minute: 100_000,
    burst: 0.05,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_one_script_and_two_statements() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    sqlx::query("CREATE EXTENSION pg_stat_statements").execute(database.pool()).await.unwrap();
    let fleet = Fleet::enrol(
        &database,
        database.url(),
        &cache,
        host.port(),
        60,
        5,
        &[
            ("WARMUP_MAILBOX_COOLDOWN_MIN_MS", "0"),
            ("WARMUP_MAILBOX_COOLDOWN_MAX_MS", "0"),
            ("WARMUP_MAX_CONCURRENT", "20"),
            // So that mails are counted and nothing else.
            ("WARMUP_REPLY_DELAY_MIN", "240"),
            ("WARMUP_REPLY_DELAY_MAX", "240"),
        ],
    )
    .await;
    fill_buckets(&cache.url()).await;
    let scripts = monitor(&cache.url()).await;
    let worker = fleet.start();
    eventually(Duration::from_secs(60), || async { host.taken() == 300 }).await;
    worker.stop().await;
    let (batches, mails): (i64, i64) = sqlx::query_as("SELECT count(*), sum(processed)::bigint FROM batches")
        .fetch_one(database.pool())
        .await
        .unwrap();
    let (reserves, settles) = (calls(database.pool(), "-- Reserve:").await, calls(database.pool(), "-- Settle:").await);
    let scripts = *scripts.lock().await;
    println!("{mails} mails in {batches} batches: {scripts} scripts, {reserves} reserves, {settles} settles");
    assert_eq!((scripts, reserves), (batches, batches));
    assert!(settles <= batches);
}

/// The buckets begin two hours ago, so that they are full and refuse nothing now.
#[expect(clippy::disallowed_methods, reason = "the server that is asked runs on the real clock")]
async fn fill_buckets(url: &str) {
    let caps = RedisCaps::new(connect(url, 1).await.unwrap(), "warmup", WIDE).unwrap();
    let earlier = (Utc::now() - TimeDelta::hours(2)).timestamp_micros();
    caps.grant(Some(earlier), &asks::of(&[UserId(1)]), &[]).await.unwrap();
}

/// Counts the caps' scripts as Redis hears them.
async fn monitor(url: &str) -> Arc<Mutex<i64>> {
    let (secret, address) = url.trim_start_matches("redis://").rsplit_once('@').unwrap();
    let password = secret.rsplit(':').next().unwrap();
    let mut stream = TcpStream::connect(address.trim_end_matches("/0").trim_end_matches('/')).await.unwrap();
    stream.write_all(format!("AUTH {password}\r\nMONITOR\r\n").as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    for _ in 0..2 {
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("+OK"));
    }
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let script = line.contains("\"EVALSHA\"") || line.contains("\"evalsha\"");
            // The look before the start names them too, with the members before them.
            let caps = line.contains(":cap:global_hour") && !line.contains(":members");
            *counted.lock().await += i64::from(script && caps);
        }
    });
    count
}

async fn calls(pool: &PgPool, head: &str) -> i64 {
    const CALLS: &str = "
        SELECT COALESCE(sum(s.calls), 0)::bigint FROM pg_stat_statements s
        JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()
        WHERE s.toplevel AND s.query LIKE $1 || '%'";
    sqlx::query(CALLS).bind(head).fetch_one(pool).await.unwrap().get(0)
}
