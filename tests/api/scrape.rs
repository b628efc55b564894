//! What Prometheus reads.

use warmup_support::world;

use crate::{
    client::{ADMIN, Pod, World},
    stage::{BEN, morning},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_fleets_gauges_are_told_without_a_token_and_name_nobody() {
    let world = morning().await;
    let scraped = world.pod.ask("GET", "/metrics", None, None).await;
    assert_eq!(scraped.status, 200);
    assert_eq!(scraped.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "warmup_total_mailboxes 4",
        "warmup_active_mailboxes 3",
        "warmup_emails_sent_today 37",
        "warmup_emails_failed_today 1",
        "warmup_emails_owed_today 84",
        "warmup_emails_planned_now 18",
        "warmup_throughput_per_hour 44",
        "warmup_shards 8",
        "warmup_duties_done_timestamp_seconds 0",
        "warmup_quota_completion_rate 25",
        "warmup_system_health 2",
        "warmup_mailboxes_starting 0",
        "warmup_mailboxes_behind 1",
        "warmup_mailboxes_failing 1",
        "warmup_mailboxes_paused 0",
        "warmup_mailboxes_disabled 1",
        "# TYPE warmup_caps_granted_total counter",
    ] {
        let is_there = scraped.text.lines().any(|told| told == line || told == format!("{line}.0"));
        assert!(is_there, "{line} is not in\n{}", scraped.text);
    }
    assert!(!scraped.text.contains('@') && !scraped.text.contains(BEN), "{}", scraped.text);
    let same = world.pod.ask("GET", "/api/warmup/metrics?format=prometheus", Some(ADMIN), None).await;
    assert_eq!((same.status, same.text), (200, scraped.text));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_address_of_their_own_they_are_told_only_there() {
    let world = World::start().await;
    let pod = Pod::start_with_metrics_apart(world.database.url(), &world.redis.url()).await;
    pod.ask("GET", "/metrics", None, None).await.is_problem(404, "/openapi.json");
    let apart = pod.apart();
    assert!(apart.ask("GET", "/metrics", None, None).await.text.contains("warmup_total_mailboxes 0"));
    assert_eq!(apart.ask("GET", "/api/warmup/control", Some(ADMIN), None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_the_process_still_tells_of_itself() {
    let redis = world::redis().await;
    let pod = Pod::start("postgres://nobody@127.0.0.1:1/none", &redis.url()).await;
    let scraped = pod.ask("GET", "/metrics", None, None).await;
    assert_eq!(scraped.status, 200);
    assert!(
        scraped.text.contains("warmup_lanes 0") && !scraped.text.contains("warmup_total_mailboxes"),
        "{}",
        scraped.text
    );
}
