//! What many may use at once and nobody alone, and how much one request may make the pod do.

use std::{fmt::Write, sync::Arc, time::Duration};

use serde_json::json;
use warmup_support::{
    smtp::{Act, FaultyHost, Moment, Script},
    world::eventually,
};

use crate::{
    client::{ADMIN, Pod, World},
    stage::morning,
};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn one_user_takes_its_share_of_the_streams_and_leaves_the_others() {
    let world = morning().await;
    let (ann, ben) = (world.token_of("ann@x.test").await, world.token_of("boss@ben.test").await);
    let mut followed = Vec::new();
    for _ in 0..4 {
        let mut stream = world.pod.follow("/api/warmup/stream", &ann).await;
        assert!(stream.next().await.is_some());
        followed.push(stream);
    }
    world.pod.ask("GET", "/api/warmup/stream", Some(&ann), None).await.is_problem(503, "follow later");
    for token in [ben.as_str(), ADMIN] {
        assert!(world.pod.follow("/api/warmup/stream", token).await.next().await.is_some());
    }
}

/// A pod whose mailboxes of Ann submit to a host that never answers. Returns their ids.
async fn silent() -> (World, FaultyHost, String, Vec<i64>) {
    let world = World::start().await;
    let ann = world.token_of("ann@x.test").await;
    let host = FaultyHost::start(Script::usual().at(Moment::Greeting, [Act::Hang])).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        let columns = json!({"email": format!("a{n}@x.test"), "password": "secret", "smtpHost": "127.0.0.1",
                             "smtpPort": host.port(), "smtpSecurity": "none"});
        let made = world.pod.ask("POST", "/api/warmup/mailboxes", Some(&ann), Some(&columns)).await;
        ids.push(made.json()["data"]["id"].as_i64().unwrap());
    }
    (world, host, ann, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_takes_its_share_of_the_test_lanes_and_leaves_the_others() {
    let (world, host, ann, ids) = silent().await;
    let pod = Arc::new(world.pod);
    let try_out = |id: i64, token: String| {
        let pod: Arc<Pod> = Arc::clone(&pod);
        tokio::spawn(
            async move { pod.ask("POST", &format!("/api/warmup/mailboxes/{id}/test"), Some(&token), None).await },
        )
    };
    let busy = [try_out(ids[0], ann.clone()), try_out(ids[1], ann.clone())];
    eventually(PATIENCE, async || host.connections() == 2).await;
    let refused = try_out(ids[2], ann).await.unwrap();
    refused.is_problem(503, "ask again in a moment");
    let admins = try_out(ids[2], ADMIN.to_owned());
    eventually(PATIENCE, async || host.connections() == 3).await;
    busy.iter().chain([&admins]).for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_sixty_kilobytes_is_read_by_no_parser() {
    let (world, _host, ann, ids) = silent().await;
    let long = "Europe/Berlin".repeat(4_600);
    let path = format!("/api/warmup/mailboxes/{}", ids[0]);
    for column in ["timezone", "window", "days", "displayName", "smtpHost", "user"] {
        let change = world.pod.ask("PATCH", &path, Some(&ann), Some(&json!({ column: long }))).await;
        change.is_problem(422, "is longer than 1024 bytes");
    }
    let file = format!("email,password,smtp_host,smtp_port,timezone\na@x.test,p,smtp.x.test,587,{}\n", long.repeat(40));
    let import =
        world.pod.ask_with("POST", "/api/warmup/mailboxes/import", Some(&ann), Some(("text/csv", &file))).await;
    import.is_problem(422, "1 faults, nothing was changed");
    assert!(import.text.contains("is longer than 1024 bytes") && import.text.len() < 1_000, "{}", import.text);
    let header = format!("email,password,smtp_host,smtp_port{}\n", ",passwort".repeat(200_000));
    let import =
        world.pod.ask_with("POST", "/api/warmup/mailboxes/import", Some(&ann), Some(("text/csv", &header))).await;
    assert!(import.status == 422 && import.text.contains("at most 100 may be"), "{}", import.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_million_wrong_lines_the_first_hundred_are_told() {
    let world = World::start().await;
    let mut file = "email,password,smtp_host,smtp_port\n".to_owned();
    for _ in 0..2_000_000 {
        file.write_str("a\n").unwrap();
    }
    let import =
        world.pod.ask_with("POST", "/api/warmup/mailboxes/import", Some(ADMIN), Some(("text/csv", &file))).await;
    import.is_problem(422, "errors` says what to write of the first 100, and 199900 more");
    assert_eq!(import.json()["errors"].as_array().unwrap().len(), 100);
    assert!(import.text.len() < 20_000, "{} bytes", import.text.len());
}
