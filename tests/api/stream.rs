//! The day as it goes.

use std::time::Duration;

use serde_json::Value;

use crate::{
    client::ADMIN,
    stage::{BEN, morning},
};

/// The data of a `metrics` event.
fn metrics(event: &str) -> Value {
    let (kind, data) = event.split_once('\n').unwrap();
    assert_eq!(kind, "event: metrics");
    serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_the_day_whenever_it_changed() {
    let world = morning().await;
    let mut stream = world.pod.follow("/api/warmup/stream", ADMIN).await;
    let first = metrics(&stream.next().await.unwrap());
    assert_eq!(first, world.get("/api/warmup/metrics").await);
    let send = "UPDATE mailbox_days SET sent = 7, reserved = 7 WHERE mailbox_id = 1 AND NOT closed";
    sqlx::query(send).execute(world.pool()).await.unwrap();
    // A small fleet is counted again after a quarter of a second: what is told before may differ in the hour only.
    let mut told = first;
    while told["system"]["totalSentToday"] != 38 {
        let changed = metrics(&stream.next_while_time_passes(&world.pod.clock, Duration::from_secs(2)).await.unwrap());
        assert_ne!(changed, told);
        told = changed;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_its_callers_own_and_ends_with_its_token() {
    let world = morning().await;
    let ann = world.token_of("ann@x.test").await;
    let mut stream = world.pod.follow("/api/warmup/stream", &ann).await;
    let first = stream.next().await.unwrap();
    assert_eq!(metrics(&first)["system"]["totalSentToday"], 9);
    assert!(!first.contains(BEN), "{first}");
    world.pod.ask("DELETE", "/api/warmup/tokens/1", Some(&ann), None).await;
    assert_eq!(stream.next_while_time_passes(&world.pod.clock, Duration::from_secs(2)).await, None);
}
