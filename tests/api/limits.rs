//! What does not belong under /api, and what is too much of it.

use serde_json::json;
use warmup_support::world;

use crate::client::{ADMIN, Pod, World};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_is_not_taken_are_problems() {
    let world = World::start().await;
    let pod = &world.pod;
    pod.ask("GET", "/api/warmup/nothing", Some(ADMIN), None).await.is_problem(404, "/openapi.json");
    pod.ask("GET", "/api", Some(ADMIN), None).await.is_problem(404, "/openapi.json");
    pod.ask("GET", "/elsewhere", None, None).await.is_problem(404, "/openapi.json");
    pod.ask("GET", "/api/warmup/nothing", None, None).await.is_problem(401, "Authorization");
    let wrong = pod.ask("PUT", "/api/warmup/tokens", Some(ADMIN), None).await;
    wrong.is_problem(405, "does not take PUT");
    let allowed = wrong.header("allow").unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    pod.ask("DELETE", "/api/warmup/tokens/one", Some(ADMIN), None).await.is_problem(404, "whole number");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_what_is_needed_is_told_without_its_values() {
    let world = World::start().await;
    let ask = async |kind: &str, text: &str| {
        world.pod.ask_with("POST", "/api/warmup/tokens", Some(ADMIN), Some((kind, text))).await
    };
    ask("text/plain", "{}").await.is_problem(415, "application/json");
    ask("application/json", "{\"name\": ").await.is_problem(400, "no JSON");
    ask("application/json", "{\"nam\": 1}").await.is_problem(400, "unknown field `nam`");
    let wrong = ask("application/json", "{\"name\": {\"canary\": 1}}").await;
    wrong.is_problem(400, "expected a string");
    assert!(!wrong.text.contains("canary"), "{}", wrong.text);
    let long = json!({"name": "x".repeat(70_000), "user": "operator@localhost"}).to_string();
    ask("application/json", &long).await.is_problem(413, "send less");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_character_that_can_not_be_stored_is_no_fault_of_ours() {
    let world = World::start().await;
    let ask = async |path: &str| world.pod.ask("GET", &format!("/api/warmup/{path}"), Some(ADMIN), None).await;
    for path in ["mailboxes?search=a%00", "mailboxes?user=%00", "events?kind=%00", "logs?reason=%00"] {
        ask(path).await.is_problem(400, "NUL");
    }
    let new = json!({"name": "x", "user": "a\u{0}@x.test"});
    world.pod.ask("POST", "/api/warmup/tokens", Some(ADMIN), Some(&new)).await.is_problem(400, "NUL");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_refused() {
    let world = World::start().await;
    let long = format!("GET /api/warmup/tokens HTTP/1.1\r\nHost: pod\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000));
    // 431, unless the connection was cut while we were still speaking.
    let refused = world.pod.raw(&long).await.status;
    assert!(matches!(refused, 431 | 0), "{refused}");
    let many: String = (0..100).map(|n| format!("X-{n}: x\r\n")).collect();
    assert_eq!(world.pod.raw(&format!("GET /healthz HTTP/1.1\r\nHost: pod\r\n{many}\r\n")).await.status, 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_it_says_so_and_lives() {
    let redis = world::redis().await;
    let pod = Pod::start("postgres://nobody@127.0.0.1:1/none", &redis.url()).await;
    pod.ask("GET", "/api/warmup/tokens", Some(ADMIN), None).await.is_problem(503, "Postgres does not answer");
    assert_eq!(pod.ask("GET", "/healthz", None, None).await.status, 200);
    let ready = pod.ask("GET", "/readyz", None, None).await;
    assert_eq!(ready.status, 503);
    assert!(ready.text.starts_with("not ready: "), "{}", ready.text);
    pod.stop().await;
}
