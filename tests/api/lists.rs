//! Mailboxes, users, events and the log.

use serde_json::{Value, json};

use crate::{
    client::{ADMIN, World},
    stage::morning,
};

fn ids(rows: &Value) -> Vec<i64> {
    rows.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mailboxes_are_listed_filtered_and_shown_without_their_passwords() {
    let world = morning().await;
    let all = world.get("/api/warmup/mailboxes").await;
    assert_eq!(
        (ids(&all["mailboxes"]), &all["total"], &all["nextCursor"]),
        (vec![1, 2, 3, 4], &4.into(), &Value::Null)
    );
    assert_eq!(
        all["mailboxes"][1],
        json!({"id": 2, "email": "a2@x.test", "user": "ann@x.test", "smtpHost": "smtp.x.test", "state": "active",
               "reason": null, "until": null, "day": "2026-11-24", "quota": 28, "sent": 3, "left": 24})
    );
    for (query, found) in [
        ("state=disabled", vec![4]),
        ("state=active&user=Ann@X.test", vec![1, 2]),
        ("host=smtp.ben.test", vec![3, 4]),
        ("domain=x.test&search=A2", vec![2]),
        ("state=removed", vec![]),
        ("limit=1&cursor=2", vec![3]),
    ] {
        assert_eq!(ids(&world.get(&format!("/api/warmup/mailboxes?{query}")).await["mailboxes"]), found, "{query}");
    }
    let shown = world.get("/api/warmup/mailboxes/1").await;
    assert_eq!((&shown["displayName"], &shown["because"]), (&"Anna".into(), &"no worker runs".into()));
    assert!(!shown.to_string().contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn users_see_themselves_and_admins_all() {
    let world = morning().await;
    let ann = world.token_of("ann@x.test").await;
    assert_eq!(world.get("/api/warmup/users").await["users"].as_array().unwrap().len(), 3);
    let hers = world.get_as(&ann, "/api/warmup/users").await;
    assert_eq!(
        (hers["users"].as_array().unwrap().len(), &hers["users"][0]["email"], &hers["users"][0]["mailboxes"]),
        (1, &"ann@x.test".into(), &2.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_say_why_a_mailbox_stopped() {
    let world = morning().await;
    let stopped = world.get("/api/warmup/events?mailbox=4&kind=sender-disabled").await;
    let id = &stopped["events"][0]["id"];
    assert_eq!(
        stopped,
        json!({"nextCursor": null, "events": [{
            "id": id, "at": "2026-11-24T10:00:00Z", "kind": "sender-disabled", "mailbox": "b2@ben.test", "user": null,
            "workerId": null, "reason": "auth-refused", "detail": "",
            "text": "b2@ben.test: stopped sending until it is resumed (auth-refused)",
        }]})
    );
    let (mut seen, mut path) = (Vec::new(), "/api/warmup/events?limit=3".to_owned());
    loop {
        let page = world.get(&path).await;
        seen.extend(ids(&page["events"]));
        let Some(next) = page["nextCursor"].as_str() else { break };
        path = format!("/api/warmup/events?limit=3&cursor={next}");
    }
    let mut sorted = seen.clone();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (6, &sorted), "all, the newest first, none twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_paged_and_filtered() {
    let world = morning().await;
    let page = world.get("/api/warmup/logs?limit=2").await;
    assert_eq!(ids(&page["logs"]), [3, 2]);
    let next = page["nextCursor"].as_str().unwrap();
    let last = world.get(&format!("/api/warmup/logs?limit=2&cursor={next}")).await;
    assert_eq!(
        last,
        json!({"nextCursor": null, "logs": [{
            "id": 1, "at": "2026-11-24T09:05:00Z", "day": "2026-11-24", "mailboxId": 1, "partnerId": 2,
            "sender": "a1@x.test", "recipient": "a2@x.test", "subject": "One", "messageId": "1@x.test", "status": "SENT",
            "reason": null, "smtpCode": 250, "enhancedCode": "2.0.0", "latencyMs": 400, "workerId": "w1", "notes": "queued",
        }]})
    );
    for (query, found) in [
        ("status=FAILED", vec![3]),
        ("reason=uncertain&mailbox=3", vec![3]),
        ("mailbox=1", vec![2, 1]),
        ("since=2026-11-24T09:06:00Z&until=2026-11-24T09:07:00Z", vec![2]),
        ("until=2026-11-24T09:00:00Z", vec![]),
    ] {
        assert_eq!(ids(&world.get(&format!("/api/warmup/logs?{query}")).await["logs"]), found, "{query}");
    }
    world.pod.ask("GET", "/api/warmup/logs?cursor=1", Some(ADMIN), None).await.is_problem(400, "nextCursor");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_told_what_its_mailboxes_sent_and_not_to_whom_else() {
    let world = morning().await;
    let ann = world.token_of("ann@x.test").await;
    let hers = world.get_as(&ann, "/api/warmup/logs").await;
    assert_eq!(ids(&hers["logs"]), [2, 1]);
    let foreign = &hers["logs"][0];
    assert_eq!(
        (&foreign["recipient"], &foreign["partnerId"], &foreign["notes"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!((&hers["logs"][1]["recipient"], &hers["logs"][1]["partnerId"]), (&"a2@x.test".into(), &2.into()));
    let events = world.get_as(&ann, "/api/warmup/events?kind=mail-alert").await;
    assert_eq!((events["events"].as_array().unwrap().len(), &events["events"][0]["detail"]), (1, &"".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_a_mail_host_that_refused_a_mail_are_for_admins() {
    let world = morning().await;
    for statement in [
        "UPDATE mailboxes SET refusals = 2, failures = 2, refused_at = '2026-11-24T10:02:00Z', refused_reason = 'refused',
                              refused_words = 'dot: 554 b1@ben.test: no' WHERE id = 1",
        "INSERT INTO events (at, kind, mailbox_id, reason, detail)
         VALUES ('2026-11-24T10:02:00Z', 'sender-paused', 1, 'refused-in-a-row',
                 'until 10:17; 2 refusals in a row; last result: refused, dot: 554 b1@ben.test: no'),
                ('2026-11-24T10:03:00Z', 'sender-disabled', 1, 'sender-blocked', 'last result: dot: 554 b1@ben.test: no')",
    ] {
        sqlx::query(statement).execute(world.pool()).await.unwrap();
    }
    let ann = world.token_of("ann@x.test").await;
    let refusal = |text: Value| json!({"at": "2026-11-24T10:02:00Z", "reason": "refused", "text": text, "inARow": 2, "failuresInARow": 2});
    let detail = world.get("/api/warmup/mailboxes/1").await;
    assert_eq!(detail["lastRefusal"], refusal("dot: 554 b1@ben.test: no".into()));
    let hers = world.get_as(&ann, "/api/warmup/mailboxes/1").await;
    assert_eq!(hers["lastRefusal"], refusal(Value::Null));
    assert!(!hers.to_string().contains("b1@ben.test"), "{hers}");
    let events = world.get("/api/warmup/events?mailbox=1").await;
    assert_eq!(events.to_string().matches("554 b1@ben.test: no").count(), 4, "in the detail and the text: {events}");
    let hers = world.get_as(&ann, "/api/warmup/events?mailbox=1").await;
    assert!(!hers.to_string().contains("b1@ben.test"), "{hers}");
    let paused = world.get_as(&ann, "/api/warmup/events?mailbox=1&kind=sender-paused").await;
    assert_eq!(paused["events"][0]["detail"], "until 10:17; 2 refusals in a row");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_listed_where_there_is_nothing() {
    let world = World::start().await;
    assert_eq!(world.get("/api/warmup/quota").await, json!({"total": 0, "quotas": [], "nextCursor": null}));
    let system = &world.get("/api/warmup/metrics").await["system"];
    assert_eq!((&system["totalMailboxes"], &system["quotaCompletionRate"]), (&0.into(), &0.0.into()));
    assert_eq!((&system["systemHealth"], &system["failureRate"]), (&"healthy".into(), &0.0.into()));
    let control = world.get("/api/warmup/control").await;
    assert_eq!((&control["queueStatus"]["isRunning"], &control["leader"]), (&false.into(), &Value::Null));
}
