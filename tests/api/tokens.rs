//! Who is let in: tokens are made, listed and revoked, and nothing else opens the door.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;

use crate::client::{ADMIN, World, now};

const TOKENS: &str = "/api/warmup/tokens";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_told_once_and_only_its_hash_is_kept() {
    let world = World::start().await;
    let new = json!({"name": "ci", "user": "operator@localhost", "expiresAt": "2026-12-24T00:00:00Z"});
    let made = world.pod.ask("POST", TOKENS, Some(ADMIN), Some(&new)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    let token = made["data"]["token"].as_str().unwrap().to_owned();
    assert_eq!(
        made,
        json!({"success": true, "timestamp": "2026-11-24T10:30:00Z", "data": {
            "id": 1, "user": "operator@localhost", "role": "admin", "name": "ci", "createdAt": "2026-11-24T10:30:00Z",
            "expiresAt": "2026-12-24T00:00:00Z", "lastUsedAt": null, "revokedAt": null, "token": token}})
    );
    let stored: String = sqlx::query_scalar("SELECT t::text FROM tokens t").fetch_one(world.pool()).await.unwrap();
    assert!(!stored.contains(&token) && !stored.contains(token.trim_start_matches("warmup_")), "{stored}");
    let as_bytes: String = token.bytes().take(20).map(|byte| format!("{byte:02x}")).collect();
    assert!(!stored.contains(&as_bytes), "{stored}");

    let listed = world.pod.ask("GET", TOKENS, Some(&token), None).await.json();
    assert_eq!(listed["data"]["tokens"][0]["lastUsedAt"], "2026-11-24T10:30:00Z");
    assert!(!listed.to_string().contains(&token));
    let told: Vec<String> =
        sqlx::query_scalar("SELECT kind || ': ' || detail FROM events").fetch_all(world.pool()).await.unwrap();
    assert_eq!(told, ["token-created: ci (token 1)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_that_holds_is_let_in() {
    let world = World::start().await;
    let ask = async |token: Option<&str>| world.pod.ask("GET", TOKENS, token, None).await;
    let nobody = ask(None).await;
    nobody.is_problem(401, "warmup token create");
    assert_eq!(nobody.header("www-authenticate"), Some("Bearer realm=\"warmup\""));
    ask(Some("warmup_unknown")).await.is_problem(401, "unknown, expired or revoked");
    assert_eq!(ask(Some(ADMIN)).await.status, 200);

    let token = world.token_of("ann@x.org").await;
    assert_eq!(ask(Some(&token)).await.status, 200);
    let revoked = world.pod.ask("DELETE", &format!("{TOKENS}/1"), Some(&token), None).await.json();
    assert_eq!(revoked["data"]["revokedAt"], "2026-11-24T10:30:00Z");
    ask(Some(&token)).await.is_problem(401, "revoked");

    let expiring = world.token_of("ann@x.org").await;
    let expire = "UPDATE tokens SET expires_at = $1 WHERE id = 2";
    sqlx::query(expire).bind(now() + TimeDelta::seconds(1)).execute(world.pool()).await.unwrap();
    assert_eq!(ask(Some(&expiring)).await.status, 200);
    world.pod.clock.pass(Duration::from_secs(1));
    ask(Some(&expiring)).await.is_problem(401, "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_only_its_own_tokens() {
    let world = World::start().await;
    let (ann, ben) = (world.token_of("ann@x.org").await, world.token_of("ben@x.org").await);
    let mine = world.pod.ask("GET", TOKENS, Some(&ann), None).await.json();
    let ids: Vec<i64> =
        mine["data"]["tokens"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [1]);
    world.pod.ask("DELETE", &format!("{TOKENS}/2"), Some(&ann), None).await.is_problem(404, "no such token");
    assert_eq!(world.pod.ask("GET", TOKENS, Some(&ben), None).await.status, 200);

    let own = world.pod.ask("POST", TOKENS, Some(&ann), Some(&json!({"name": "more"}))).await;
    assert_eq!((own.status, own.json()["data"]["user"].as_str()), (201, Some("ann@x.org")));
    for other in ["ben@x.org", "operator@localhost"] {
        let new = json!({"name": "theirs", "user": other});
        world.pod.ask("POST", TOKENS, Some(&ann), Some(&new)).await.is_problem(403, "only an admin");
    }
    let unknown = json!({"name": "x", "user": "nobody@x.org"});
    world.pod.ask("POST", TOKENS, Some(ADMIN), Some(&unknown)).await.is_problem(422, "nobody@x.org is no user");
    world.pod.ask("POST", TOKENS, Some(ADMIN), Some(&json!({"name": "x"}))).await.is_problem(422, "`user`");
    let past = json!({"name": "x", "user": "ann@x.org", "expiresAt": "2026-11-24T10:30:00Z"});
    world.pod.ask("POST", TOKENS, Some(ADMIN), Some(&past)).await.is_problem(422, "later time");
    world
        .pod
        .ask("POST", TOKENS, Some(ADMIN), Some(&json!({"name": "", "user": "ann@x.org"})))
        .await
        .is_problem(422, "name");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_and_whoever_works_goes_on() {
    let world = World::start().await;
    let token = world.token_of("ann@x.org").await;
    assert_eq!(world.pod.ask("GET", TOKENS, Some(&token), None).await.status, 200);
    for guess in 0..10 {
        world.pod.ask("GET", TOKENS, Some(&format!("guess-{guess}")), None).await.is_problem(401, "unknown");
    }
    let refused = world.pod.ask("GET", TOKENS, Some("guess-10"), None).await;
    refused.is_problem(429, "wait");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() <= 7, "{refused:?}");
    assert_eq!(world.pod.ask("GET", TOKENS, Some(&token), None).await.status, 200);
    world.pod.ask("GET", TOKENS, Some(ADMIN), None).await.is_problem(429, "wait");
    world.pod.clock.pass(Duration::from_secs(7));
    assert_eq!(world.pod.ask("GET", TOKENS, Some(ADMIN), None).await.status, 200);
}

/// Runs `warmup` and returns what it printed, of which the second part went to standard error.
async fn command(world: &World, arguments: &[&str]) -> (bool, String, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_warmup"));
    command.args(arguments).env_clear().env("DATABASE_URL", world.database.url()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_a_token_alone_lists_it_without_itself_and_revokes_it() {
    let world = World::start().await;
    let (done, token, said) = command(&world, &["token", "create", "--name", "ci", "--days", "30"]).await;
    assert!(done && said.starts_with("token 1 of operator@localhost (admin), until "), "{said}");
    let token = token.trim();
    assert_eq!(world.pod.ask("GET", TOKENS, Some(token), None).await.status, 200);
    let (_, listed, _) = command(&world, &["token", "list", "--json"]).await;
    assert!(listed.contains("\"name\": \"ci\"") && !listed.contains(token), "{listed}");
    let (done, revoked, _) = command(&world, &["token", "revoke", "1"]).await;
    assert_eq!((done, revoked.trim()), (true, "revoked: 1 (ci, operator@localhost)"));
    world.pod.ask("GET", TOKENS, Some(token), None).await.is_problem(401, "revoked");
    let (done, _, said) = command(&world, &["token", "revoke", "1", "7"]).await;
    assert!(!done && said.contains("no such token: 7"), "{said}");
    let (done, _, said) = command(&world, &["token", "create", "--user", "nobody@x.org"]).await;
    assert!(!done && said.contains("warmup user add"), "{said}");
}
