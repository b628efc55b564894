//! The fleet and its day, exactly as they are promised.

use serde_json::{Value, json};

use crate::{
    client::{ADMIN, Pod},
    stage::morning,
};

/// The fleet as an admin sees it, without its workers.
fn cron() -> Value {
    json!({
        "running": true,
        "lastRunTime": "2026-11-24T10:30:00Z",
        "consecutiveFailures": 2,
        "checkIntervalMinutes": 15,
        "queueStatus": {
            "queueSize": 3,
            "activeSends": 0,
            "isRunning": true,
            "rateLimit": {"hourly": {"used": 48, "limit": 10000}, "minute": {"used": 0, "limit": 200}},
        },
        "workerId": "pod",
        "leader": "w1",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn control_shows_the_order_the_workers_and_the_caps() {
    let world = morning().await;
    let mut expected = cron();
    expected["workers"] = json!([{
        "id": "w1", "host": "machine", "version": "0.1.0", "shards": 8, "lanes": 20, "queueSize": 3, "activeSends": 1,
        "lastTick": "2026-11-24T10:30:00Z", "consecutiveFailures": 2, "state": "running",
    }]);
    expected["warnings"] = json!([]);
    assert_eq!(world.get("/api/warmup/control").await, expected);

    let other = Pod::start(world.database.url(), &world.redis.url()).await;
    let same = other.ask("GET", "/api/warmup/control", Some(ADMIN), None).await;
    assert_eq!(same.json()["data"], expected, "every pod answers for the whole fleet");

    let ann = world.token_of("ann@x.test").await;
    let hers = world.get_as(&ann, "/api/warmup/control").await;
    assert_eq!(hers["workers"], json!([]));
    // One is behind; 2 of this hour and half of the 7 of the one before; one mail in the last minute.
    assert_eq!(
        hers["queueStatus"],
        json!({"queueSize": 1, "activeSends": 0, "isRunning": true,
               "rateLimit": {"hourly": {"used": 6, "limit": 500}, "minute": {"used": 1, "limit": 50}}})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_sum_each_mailboxs_own_today() {
    let world = morning().await;
    let batch = json!({
        "id": 1, "workerId": "w1", "startedAt": "2026-11-24T10:20:00Z", "durationMs": 30000, "processed": 48, "sent": 46,
        "failed": 2, "successRate": 95.83,
    });
    let performer = |id: i64, email: &str, sent: i64, rate: f64, streak: i64| json!({"mailboxId": id, "email": email, "sentToday": sent, "quotaFillRate": rate, "currentStreak": streak});
    assert_eq!(
        world.get("/api/warmup/metrics").await,
        json!({
            "cron": cron(),
            "system": {
                "totalMailboxes": 4, "activeMailboxes": 3, "totalSentToday": 37, "totalRepliedToday": 2,
                "totalFailedToday": 1, "totalUncertainToday": 1, "failureRate": 4.88, "avgBatchDuration": 30000,
                "throughputPerHour": 44, "quotaCompletionRate": 25.0, "systemHealth": "healthy",
                "healthReason": "37 sent, 18 planned by now; 2 of 41 attempts failed today",
            },
            "quotaStatus": {"complete": 1, "onTrack": 1, "behind": 1, "failing": 1},
            "batchHistory": [batch],
            "performanceSummary": {
                "topPerformers": [
                    performer(3, "b1@ben.test", 28, 100.0, 2), performer(1, "a1@x.test", 6, 21.43, 0),
                    performer(2, "a2@x.test", 3, 10.71, 0),
                ],
                "behindQuota": [behind()],
                "recentBatches": [batch],
            },
        })
    );
}

fn behind() -> Value {
    json!({"mailboxId": 2, "email": "a2@x.test", "dailyQuota": 28, "sentToday": 3, "remaining": 25,
           "percentComplete": 10.71, "status": "behind", "hoursRemaining": 6.5})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_metrics_are_of_its_own_mailboxes() {
    let world = morning().await;
    let ann = world.token_of("ann@x.test").await;
    let hers = world.get_as(&ann, "/api/warmup/metrics").await;
    let system = &hers["system"];
    assert_eq!((&system["totalMailboxes"], &system["totalSentToday"]), (&2.into(), &9.into()));
    assert_eq!((&system["quotaCompletionRate"], &system["throughputPerHour"]), (&0.0.into(), &6.into()));
    assert_eq!(hers["quotaStatus"], json!({"complete": 0, "onTrack": 1, "behind": 1, "failing": 0}));
    assert_eq!((&hers["batchHistory"], &hers["performanceSummary"]["recentBatches"]), (&json!([]), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_listed_by_how_they_stand() {
    let world = morning().await;
    assert_eq!(
        world.get("/api/warmup/quota?status=behind").await,
        json!({"total": 1, "quotas": [behind()], "nextCursor": null})
    );
    for (status, ids) in [
        ("all", vec![1, 2, 3, 4]),
        ("complete", vec![3]),
        ("on-track", vec![1]),
        ("failing", vec![4]),
        ("behind", vec![2]),
    ] {
        let listed = world.get(&format!("/api/warmup/quota?status={status}")).await;
        let found: Vec<i64> =
            listed["quotas"].as_array().unwrap().iter().map(|row| row["mailboxId"].as_i64().unwrap()).collect();
        assert_eq!((found, &listed["total"]), (ids.clone(), &ids.len().into()), "{status}");
    }
    world.change("UPDATE mailbox_days SET failed_in_row = 3 WHERE mailbox_id = 1").await;
    assert_eq!(world.get("/api/warmup/quota?status=failing").await["total"], 2);
    world.change("UPDATE mailboxes SET enabled = false WHERE id = 1").await;
    assert_eq!(world.get("/api/warmup/quota").await["total"], 3, "what is switched off owes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_pages() {
    let world = morning().await;
    let first = world.get("/api/warmup/quota?limit=3").await;
    assert_eq!((first["quotas"].as_array().unwrap().len(), &first["total"]), (3, &4.into()));
    let next = first["nextCursor"].as_str().unwrap();
    let last = world.get(&format!("/api/warmup/quota?limit=3&cursor={next}")).await;
    assert_eq!(
        (&last["quotas"][0]["mailboxId"], &last["nextCursor"], &last["total"]),
        (&4.into(), &Value::Null, &4.into())
    );
    for (query, words) in [
        ("limit=0", "from 1 to 500"),
        ("limit=501", "from 1 to 500"),
        ("cursor=x", "nextCursor"),
        ("status=odd", "unknown variant"),
        ("colour=red", "unknown field"),
    ] {
        let answer = world.pod.ask("GET", &format!("/api/warmup/quota?{query}"), Some(ADMIN), None).await;
        answer.is_problem(400, words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_shows_what_it_did_and_where_it_stands() {
    let world = morning().await;
    let best = json!({
        "mailboxId": 3, "email": "b1@ben.test", "totalSent": 76, "totalFailed": 0, "avgSendTimeMs": 1000,
        "lastSendTime": "2026-11-24T10:10:00Z", "quotaFillRate": 100.0, "currentStreak": 2,
    });
    let quota = json!({"mailboxId": 3, "email": "b1@ben.test", "dailyQuota": 28, "sentToday": 28, "remaining": 0,
                       "percentComplete": 100.0, "status": "complete", "hoursRemaining": 6.5});
    assert_eq!(world.get("/api/warmup/mailbox?id=3").await, json!({"metrics": best, "quota": quota}));
    let all = world.get("/api/warmup/mailbox").await;
    assert_eq!((&all["metrics"][2], &all["quotas"][2]), (&best, &quota));
    assert_eq!(all["summary"], json!({"total": 4, "avgFillRate": 33.04}));
    assert_eq!(all["metrics"][3]["avgSendTimeMs"], Value::Null);
    world.pod.ask("GET", "/api/warmup/mailbox?id=9", Some(ADMIN), None).await.is_problem(404, "no mailbox 9");
    let ann = world.token_of("ann@x.test").await;
    assert_eq!(world.get_as(&ann, "/api/warmup/mailbox").await["summary"]["total"], 2);
    world.pod.ask("GET", "/api/warmup/mailbox?id=3", Some(&ann), None).await.is_problem(404, "no mailbox 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_fleet_is_not_guessed() {
    let mut world = morning().await;
    world.redis.halt().await;
    for path in ["/api/warmup/control", "/api/warmup/metrics"] {
        world.pod.ask("GET", path, Some(ADMIN), None).await.is_problem(503, "Redis does not answer");
    }
    assert_eq!(world.get("/api/warmup/quota?status=behind").await["total"], 1, "what Postgres knows is told");
}
