//! What is ordered and changed over the API is what the command line would have done.

use std::time::Duration;

use serde_json::{Value, json};
use warmup::{
    adapters::redis::{self, RedisNotifier},
    ports::{Bell, fleet_control::Notification},
};

use crate::{
    client::{ADMIN, Answer, Pod, World},
    stage::morning,
};

async fn send(world: &World, method: &str, path: &str, body: Value) -> Answer {
    world.pod.ask(method, &format!("/api/warmup/{path}"), Some(ADMIN), Some(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_stands_is_told_to_all_workers_and_is_seen_by_every_pod() {
    let world = morning().await;
    let pool = redis::open(&world.redis.url(), 1).unwrap();
    let bell = RedisNotifier::new(pool, "warmup", world.pod.clock.clone());
    assert_eq!(bell.next().await, Notification::Ordered, "it listens");
    let stopped = send(&world, "POST", "control", json!({"action": "stop"})).await;
    assert_eq!(stopped.json()["data"], json!({"action": "stop", "running": false, "changed": true, "announced": true}));
    let heard = tokio::time::timeout(Duration::from_secs(20), bell.next()).await;
    assert_eq!(heard.ok(), Some(Notification::Ordered));
    let other = Pod::start(world.database.url(), &world.redis.url()).await;
    let seen = other.ask("GET", "/api/warmup/control", Some(ADMIN), None).await.json();
    assert_eq!((&seen["data"]["running"], &seen["data"]["queueStatus"]["isRunning"]), (&false.into(), &false.into()));
    send(&world, "POST", "control", json!({"action": "trigger"})).await.is_problem(409, "start it first");

    let by: String = sqlx::query_scalar("SELECT ordered_by FROM fleet_orders").fetch_one(world.pool()).await.unwrap();
    assert_eq!(by, "WARMUP_ADMIN_TOKEN by the API");
    assert_eq!(send(&world, "POST", "control", json!({"action": "start"})).await.json()["data"]["changed"], true);
    assert_eq!(bell.next().await, Notification::Ordered);
    assert_eq!(send(&world, "POST", "control", json!({"action": "trigger"})).await.status, 200);
    assert_eq!(bell.next().await, Notification::Trigger);
    send(&world, "POST", "control", json!({"action": "dance"})).await.is_problem(400, "unknown variant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_whose_mailboxes_were_enrolled_a_moment_ago_is_starting() {
    let world = World::start().await;
    let csv = "email,password,smtp_host,smtp_port\na@x.test,canary,smtp.x.test,587\nb@y.test,canary,smtp.y.test,587\n";
    let imported =
        world.pod.ask_with("POST", "/api/warmup/mailboxes/import", Some(ADMIN), Some(("text/csv", csv))).await;
    assert_eq!(imported.status, 200, "{imported:?}");
    let system = world.get("/api/warmup/metrics").await["system"].clone();
    assert_eq!(system["systemHealth"], "starting", "{system}");
    let reason = system["healthReason"].as_str().unwrap();
    assert!(reason.starts_with("2 mailboxes were enrolled, resumed or started less than one cooldown ago"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_an_order_stands_and_a_trigger_is_refused() {
    let mut world = morning().await;
    world.redis.halt().await;
    let stopped = send(&world, "POST", "control", json!({"action": "stop"})).await.json();
    assert_eq!((&stopped["data"]["running"], &stopped["data"]["announced"]), (&false.into(), &false.into()));
    send(&world, "POST", "control", json!({"action": "start"})).await;
    send(&world, "POST", "control", json!({"action": "trigger"})).await.is_problem(503, "Redis");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_enrolled_changed_paused_resumed_and_removed() {
    let world = morning().await;
    let new = json!({"email": "New@X.test", "password": "canary-2", "smtpHost": "smtp.x.test", "smtpPort": 465,
                     "user": "ann@x.test", "days": "mon-fri", "dailyMax": 20, "enabled": true});
    let made = send(&world, "POST", "mailboxes", new.clone()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = &made.json()["data"];
    assert_eq!((&made["id"], &made["email"], &made["user"]), (&5.into(), &"New@x.test".into(), &"ann@x.test".into()));
    assert_eq!((&made["smtp"], &made["dailyMax"]), (&"smtp.x.test:465 (tls)".into(), &20.into()));
    let again = send(&world, "POST", "mailboxes", new).await;
    again.is_problem(422, "is enrolled already");
    assert_eq!(again.json()["errors"][0]["column"], "email");

    let changed = send(&world, "PATCH", "mailboxes/5", json!({"dailyMax": 12, "password": "canary-3"})).await;
    assert_eq!((changed.status, &changed.json()["data"]["dailyMax"]), (200, &12.into()));
    send(&world, "PATCH", "mailboxes/5", json!({})).await.is_problem(422, "nothing is to be changed");
    send(&world, "PATCH", "mailboxes/5", json!({"email": "other@x.test"})).await.is_problem(422, "can't be changed");
    send(&world, "PATCH", "mailboxes/99", json!({"dailyMax": 1})).await.is_problem(404, "no mailbox 99");
    let wrong = send(&world, "PATCH", "mailboxes/5", json!({"window": "late", "smtpPort": 99999})).await;
    wrong.is_problem(422, "2 faults");
    let columns: Vec<Value> =
        wrong.json()["errors"].as_array().unwrap().iter().map(|one| one["column"].clone()).collect();
    assert_eq!(columns, ["smtpPort", "window"]);

    let elsewhere = send(&world, "PATCH", "mailboxes/5", json!({"smtpHost": "smtp.evil.test"})).await;
    elsewhere.is_problem(422, "give the password again");
    assert_eq!(elsewhere.json()["errors"][0]["column"], "smtpHost");
    let moved = send(&world, "PATCH", "mailboxes/5", json!({"smtpHost": "smtp.y.test", "password": "canary-3"})).await;
    assert_eq!((moved.status, &moved.json()["data"]["smtp"]), (200, &"smtp.y.test:465 (tls)".into()));

    let paused = send(&world, "POST", "mailboxes/5/pause", json!({"reason": "holidays"})).await.json();
    assert_eq!(paused["data"]["changed"], json!(["New@x.test"]));
    let shown = world.get("/api/warmup/mailboxes/5").await;
    assert_eq!((&shown["state"], &shown["reason"]), (&"paused".into(), &"holidays".into()));
    let long = json!({"reason": "x".repeat(70_000)});
    send(&world, "POST", "mailboxes/5/pause", long).await.is_problem(413, "send less");
    send(&world, "POST", "mailboxes/5/pause", json!({"why": "x"})).await.is_problem(400, "reason");
    let resumed = world.pod.ask("POST", "/api/warmup/mailboxes/5/resume", Some(ADMIN), None).await.json();
    assert_eq!(resumed["data"]["changed"], json!(["New@x.test"]));
    assert_eq!(world.get("/api/warmup/mailboxes/5").await["state"], "active");
    let removed = world.pod.ask("DELETE", "/api/warmup/mailboxes/5", Some(ADMIN), None).await.json();
    assert_eq!(removed["data"]["changed"], json!(["New@x.test"]));
    let erased: bool = sqlx::query_scalar("SELECT sealed_password IS NULL FROM mailboxes WHERE id = 5")
        .fetch_one(world.pool())
        .await
        .unwrap();
    assert!(erased);
    world.pod.ask("POST", "/api/warmup/mailboxes/5/resume", Some(ADMIN), None).await.is_problem(409, "removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_enrols_for_itself_and_for_nobody_else() {
    let world = morning().await;
    let ann = world.token_of("ann@x.test").await;
    let ask = async |body: Value| world.pod.ask("POST", "/api/warmup/mailboxes", Some(&ann), Some(&body)).await;
    let mut new = json!({"email": "a3@x.test", "password": "canary", "smtpHost": "smtp.x.test", "smtpPort": 587});
    let made = ask(new.clone()).await;
    assert_eq!((made.status, &made.json()["data"]["user"]), (201, &"ann@x.test".into()));
    new["email"] = "a4@x.test".into();
    new["user"] = "operator@localhost".into();
    ask(new.clone()).await.is_problem(422, "only an admin enrols for others");
    let change = json!({"user": "operator@localhost"});
    let given = world.pod.ask("PATCH", "/api/warmup/mailboxes/1", Some(&ann), Some(&change)).await;
    given.is_problem(422, "only an admin enrols for others");
    // Also what another one removed stays theirs: its log comes with its row.
    world.pod.ask("DELETE", "/api/warmup/mailboxes/3", Some(ADMIN), None).await;
    let removed = json!({"email": "b1@ben.test", "password": "x", "smtpHost": "smtp.x.test", "smtpPort": 587});
    ask(removed).await.is_problem(422, "ask an admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_imported_with_all_its_faults_or_whole() {
    let world = morning().await;
    let ask = async |query: &str, token: &str, file: &str| {
        let path = format!("/api/warmup/mailboxes/import{query}");
        world.pod.ask_with("POST", &path, Some(token), Some(("text/csv", file))).await
    };
    let header = "email,password,smtp_host,smtp_port\n";
    let wrong = ask("", ADMIN, &format!("{header}n1@x.test,canary,smtp.x.test,0\nn2@x.test,canary,,587\n")).await;
    wrong.is_problem(422, "2 faults, nothing was changed");
    let errors = &wrong.json()["errors"];
    assert_eq!((&errors[0]["line"], &errors[0]["column"]), (&2.into(), &"smtp_port".into()));
    assert_eq!((&errors[1]["line"], &errors[1]["column"]), (&3.into(), &"smtp_host".into()));
    assert!(!wrong.text.contains("canary"));

    let file = format!("{header}n1@x.test,canary,smtp.x.test,587\na1@x.test,canary-2,,\n");
    let dry = ask("?dryRun=true", ADMIN, &file).await.json();
    assert_eq!((&dry["data"]["dryRun"], &dry["data"]["new"]), (&true.into(), &json!(["n1@x.test"])));
    assert_eq!(world.get("/api/warmup/mailboxes").await["total"], 4);
    let done = ask("", ADMIN, &file).await.json();
    assert_eq!(done["data"]["changed"], json!([{"email": "a1@x.test", "columns": ["password"]}]));
    assert_eq!(world.get("/api/warmup/mailboxes").await["total"], 5);

    let ann = world.token_of("ann@x.test").await;
    let theirs =
        ask("", &ann, &format!("{header}n3@x.test,canary,smtp.x.test,587\nb1@ben.test,mine,smtp.x.test,587\n")).await;
    theirs.is_problem(422, "1 faults");
    assert_eq!(theirs.json()["errors"][0]["line"], 3);
    let own = ask("", &ann, &format!("{header}n3@x.test,canary,smtp.x.test,587\n")).await;
    assert_eq!(own.status, 200, "{own:?}");
    assert!(!own.text.contains("ben"), "{own:?}");
    let all = "x".repeat(33 * 1024 * 1024);
    assert!(matches!(ask("", ADMIN, &all).await.status, 413 | 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_tried_out_and_told_what_is_wrong() {
    let world = morning().await;
    let host = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = host.local_addr().unwrap().port();
    drop(host);
    let new = json!({"email": "t@x.test", "password": "canary", "smtpHost": "127.0.0.1", "smtpPort": port,
                     "smtpSecurity": "none"});
    assert_eq!(send(&world, "POST", "mailboxes", new).await.status, 201);
    let tried = world.pod.ask("POST", "/api/warmup/mailboxes/5/test", Some(ADMIN), None).await;
    assert_eq!(tried.status, 200, "{tried:?}");
    let tried = &tried.json()["data"];
    assert_eq!(
        (&tried["email"], &tried["ok"], &tried["fault"]["stage"]),
        (&"t@x.test".into(), &false.into(), &"connect".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_made_and_changed_by_admins() {
    let world = World::start().await;
    let made = send(&world, "POST", "users", json!({"email": "Cy@X.test", "dailyLimit": 100})).await;
    assert_eq!(
        (made.status, &made.json()["data"]),
        (
            201,
            &json!({"id": 2, "email": "cy@x.test", "role": "user", "dailyLimit": 100, "mailboxes": 0,
                      "createdAt": "2026-11-24T10:30:00Z"})
        )
    );
    send(&world, "POST", "users", json!({"email": "cy@x.test"})).await.is_problem(409, "is a user already");
    send(&world, "POST", "users", json!({"email": "nonsense"})).await.is_problem(422, "nonsense");
    let changed = send(&world, "PATCH", "users/2", json!({"role": "admin", "dailyLimit": null})).await.json();
    assert_eq!((&changed["data"]["role"], &changed["data"]["dailyLimit"]), (&"admin".into(), &Value::Null));
    send(&world, "PATCH", "users/2", json!({"dailyLimit": -1})).await.is_problem(422, "from 0 on");
    send(&world, "PATCH", "users/2", json!({})).await.is_problem(422, "role or dailyLimit");
    send(&world, "PATCH", "users/9", json!({"role": "user"})).await.is_problem(404, "no user 9");
    assert_eq!(send(&world, "PATCH", "users/1", json!({"role": "user"})).await.status, 200);
    send(&world, "PATCH", "users/2", json!({"role": "user"})).await.is_problem(409, "no admin left");
}
