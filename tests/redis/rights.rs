//! The rights of the user of REDIS_URL: what docs/REDIS.md lists suffices, and all that is missing is told at once.

use std::sync::Arc;

use warmup::{
    adapters::{
        redis::{RedisNotifier, acl_rule, check, open},
        system::SystemClock,
    },
    ports::{Bell, Notification, PortError},
};
use warmup_support::{conformance::bell::hears, redis_server::RedisServer};

use crate::scripts::run_all;

/// Makes the user `fleet` with exactly `rule`, and returns its URL.
async fn user(server: &RedisServer, rule: &[&str]) -> String {
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg("fleet").arg("reset").arg("on").arg(">secret").arg(rule);
    server.run::<()>(&command).await;
    server.url().replace("//", "//fleet:secret@")
}

async fn refusal(url: &str) -> String {
    match check(&open(url, 2).unwrap(), "warmup", 8).await {
        Err(PortError::Permanent(refusal) | PortError::Denied(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// What of a refusal says what is missing, before what to do.
fn missing(refusal: &str) -> &str {
    refusal.split(": give it").next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rule_in_the_documentation_suffices_for_all_that_a_worker_does() {
    let server = RedisServer::start().await;
    let rule = acl_rule("warmup", false);
    let url = user(&server, &rule.split(' ').collect::<Vec<_>>()).await;
    let pool = open(&url, 4).unwrap();
    assert_eq!(check(&pool, "warmup", 256).await.unwrap(), [""; 0]);
    assert_eq!(server.run::<u64>(&redis::cmd("DBSIZE")).await, 0, "the look leaves nothing behind");
    run_all(&pool).await;
    server.run::<()>(redis::cmd("SCRIPT").arg("FLUSH")).await;
    run_all(&pool).await;
    let bell = RedisNotifier::new(pool, "warmup", Arc::new(SystemClock::real()));
    hears(&bell).await;
    bell.ring(Notification::Trigger).await.unwrap();
    assert_eq!(hears(&bell).await, Notification::Trigger);
    for cluster in [false, true] {
        let documented = include_str!("../../docs/REDIS.md");
        assert!(documented.contains(&acl_rule("warmup", cluster)), "{}", acl_rule("warmup", cluster));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_right_of_the_rule_is_needed_and_named_where_it_is_missing() {
    let server = RedisServer::start().await;
    let rule = acl_rule("warmup", false);
    let rule: Vec<&str> = rule.split(' ').collect();
    // UNWATCH and PING are the pool's own: without them no connection is given out twice.
    for left_out in rule.iter().filter(|word| word.starts_with('+')) {
        let without: Vec<&str> = rule.iter().copied().filter(|word| word != left_out).collect();
        let refusal = refusal(&user(&server, &without).await).await;
        let named = left_out[1..].replace('|', " ").to_uppercase();
        assert!(missing(&refusal).ends_with(&format!("may not use {named}")), "{left_out}: {refusal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_missing_is_told_at_once_and_with_the_rule() {
    let server = RedisServer::start().await;
    let refused =
        refusal(&user(&server, &["~*", "&*", "+@all", "-@scripting", "-info", "-publish", "-subscribe"]).await).await;
    for named in ["EVALSHA", "SCRIPT LOAD", "INFO", "PUBLISH", "SUBSCRIBE"] {
        assert!(missing(&refused).contains(named), "{named}: {refused}");
    }
    assert!(refused.contains(&acl_rule("warmup", false)), "{refused}");

    let refused = refusal(&user(&server, &["~{other}:*", "&other", "+@all"]).await).await;
    assert!(missing(&refused).ends_with("may not use the keys ~{warmup}:*, the channel {warmup}:bell"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_the_server_has_renamed_away_is_told_too() {
    let server = RedisServer::start_with(&["--rename-command", "EVALSHA", ""]).await;
    let refusal = refusal(&server.url()).await;
    assert!(missing(&refusal).ends_with("may not use EVALSHA"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_wrong_or_missing_is_told_apart_from_a_right() {
    let server = RedisServer::start().await;
    let url = user(&server, &["~*", "&*", "+@all"]).await;
    let wrong = refusal(&url.replace("secret", "canary")).await;
    assert!(wrong.contains("check the user and the password in REDIS_URL") && !wrong.contains("canary"), "{wrong}");
    server.run::<()>(redis::cmd("ACL").arg("SETUSER").arg("default").arg("resetpass").arg(">other")).await;
    let missing = refusal(&server.url()).await;
    assert!(missing.contains("put the user and the password into REDIS_URL"), "{missing}");
}
