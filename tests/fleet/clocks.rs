//! A machine whose clock is an hour off Redis: it says so, takes nothing, and goes on when the clock is right.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use warmup_support::world::{postgres, redis};

use crate::{
    host::Host,
    process::Fleet,
    workers::{SHARED, share_as},
};

/// What an answer to TIME begins with: two strings, the first of ten digits.
const TIME: &[u8] = b"*2\r\n$10\r\n";

/// Relays to Redis at `upstream` and puts its TIME ahead by so many seconds. Returns the port.
async fn ahead(upstream: String, seconds: Arc<AtomicI64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&upstream).await.unwrap();
            let (mut asks, mut hears) = client.into_split();
            let (mut answers, mut serves) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut asks, &mut serves).await });
            let seconds = Arc::clone(&seconds);
            tokio::spawn(async move {
                let mut told = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = answers.read(&mut told).await {
                    shift(&mut told[..length], seconds.load(Ordering::Relaxed));
                    if hears.write_all(&told[..length]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

fn shift(told: &mut [u8], seconds: i64) {
    if let Some(digits) = told.strip_prefix(TIME).and_then(|rest| std::str::from_utf8(&rest[..10]).ok()) {
        let ahead = digits.parse::<i64>().unwrap() + seconds;
        told[TIME.len()..TIME.len() + 10].copy_from_slice(ahead.to_string().as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_clock_is_an_hour_off_takes_no_shard_until_it_is_set_right_and_status_shows_it() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let mut fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), 4, 1, &SHARED).await;
    let (before, upstream) = cache.url().rsplit_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let hour = Arc::new(AtomicI64::new(3_600));
    let port = ahead(upstream, Arc::clone(&hour)).await;
    fleet.set("REDIS_URL", &format!("{before}@127.0.0.1:{port}"));

    let worker = fleet.start();

    worker.says("clock is 3600 s off Redis: no shards are taken until it is set right").await;
    share_as(&cache, &[]).await;
    let status = fleet.command(&["status"], "").await;
    assert!(status.contains("takes no shards and closes no day, because its clock disagrees"), "{status}");
    let events = fleet.command(&["events", "--kind", "clock-off"], "").await;
    assert!(events.contains("s behind Redis"), "{events}");
    hour.store(0, Ordering::Relaxed);
    share_as(&cache, &[16]).await;
    worker.stop().await;
    let status = fleet.command(&["status"], "").await;
    let is_hindered = status.contains("takes no shards") || status.contains("wrote its last heartbeat");
    assert!(!is_hindered && status.contains("no worker runs"), "it stopped in order: {status}");
}
