//! What the adapters make of a Redis that fails.

use std::time::Duration;

use uuid::Uuid;
use warmup::{
    adapters::redis::{RedisCaps, RedisLeases, RedisMembers, open},
    domain::id::{RunId, UserId},
    ports::{Caps, LeaseKey, Leases, MemberStatus, MembershipStore, PortError},
};
use warmup_support::{
    asks,
    conformance::caps::WIDE,
    redis_server::{RedisServer, connect},
};

use crate::proxy::{Proxy, Trap};

const START: i64 = 1_700_000_000_000_000;

async fn user(server: &RedisServer, rights: &[&str]) -> String {
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg("fleet").arg("on").arg(">hunter2").arg("~*").arg("+@all").arg(rights);
    server.run::<()>(&command).await;
    server.url().replace("//", "//fleet:hunter2@")
}

#[tokio::test]
async fn a_server_that_stays_silent_is_unknown_after_the_time_for_a_call() {
    let server = RedisServer::start().await;
    let proxy = Proxy::to(server.port()).await;
    let pool = connect(&proxy.url(), 4).await.unwrap();
    let caps = RedisCaps::new(pool.clone(), "warmup", WIDE).unwrap();
    caps.grant(Some(START), &asks::of(&[UserId(1)]), &[]).await.unwrap();
    proxy.set(Trap::Hold);
    let error = caps.grant(Some(START + 1), &asks::of(&[UserId(1)]), &[]).await.unwrap_err();
    assert!(matches!(error, PortError::Unknown(_)), "{error:?}");
    assert_eq!(pool.size(), 0, "nobody else shall wait for that connection");
    caps.grant(Some(START + 2), &asks::of(&[UserId(1)]), &[]).await.expect("the next call is on another connection");
}

#[tokio::test]
async fn a_connection_that_broke_while_idle_costs_no_unknown_outcome() {
    let mut server = RedisServer::start().await;
    let caps = RedisCaps::new(connect(&server.url(), 4).await.unwrap(), "warmup", WIDE).unwrap();
    caps.grant(Some(START), &asks::of(&[UserId(1)]), &[]).await.unwrap();
    server.restart().await;
    caps.grant(Some(START + 1), &asks::of(&[UserId(1)]), &[])
        .await
        .expect("it was found broken before anything was asked on it");
}

#[tokio::test]
async fn a_wrong_password_is_denied_and_never_shown() {
    let server = RedisServer::start().await;
    let url = user(&server, &[]).await.replace("hunter2", "hunter3");
    let error = connect(&url, 1).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, PortError::Denied(_)), "{error:?}");
    assert!(error.to_string().contains("check the user and the password"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
}

#[tokio::test]
async fn a_server_that_wants_a_password_and_gets_none_is_denied() {
    let server = RedisServer::start().await;
    let pool = open(&server.url(), 1).unwrap();
    user(&server, &[]).await;
    server.run::<()>(redis::cmd("ACL").arg("SETUSER").arg("default").arg("resetpass").arg(">other")).await;
    let error =
        RedisCaps::new(pool, "warmup", WIDE).unwrap().grant(None, &asks::of(&[UserId(1)]), &[]).await.unwrap_err();
    assert!(matches!(error, PortError::Denied(_)), "{error:?}");
}

#[tokio::test]
async fn without_the_right_to_ask_for_the_run_id_nothing_is_granted_or_written() {
    let server = RedisServer::start().await;
    let url = user(&server, &["-info"]).await;
    let caps = RedisCaps::new(open(&url, 1).unwrap(), "warmup", WIDE).unwrap();
    let error = caps.grant(None, &asks::of(&[UserId(1)]), &[]).await.unwrap_err();
    assert!(matches!(error, PortError::Permanent(_)), "{error:?}");
    assert_eq!(server.run::<u64>(&redis::cmd("DBSIZE")).await, 0);
}

#[tokio::test]
async fn a_replica_and_a_full_memory_are_unavailable_and_nothing_is_granted() {
    let server = RedisServer::start().await;
    let pool = connect(&server.url(), 4).await.unwrap();
    let caps = RedisCaps::new(pool.clone(), "warmup", WIDE).unwrap();
    let leases = RedisLeases::new(pool, "warmup");
    server.run::<()>(redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(1)).await;
    let error = caps.grant(Some(START), &asks::of(&[UserId(1)]), &[]).await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable(_)), "{error:?}");
    server.run::<()>(redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(0)).await;
    server.run::<()>(redis::cmd("REPLICAOF").arg("127.0.0.1").arg(server.port())).await;
    let owner = RunId(Uuid::now_v7());
    let error = leases.acquire(owner, &[LeaseKey::Solo], Duration::from_secs(15)).await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable(_)), "{error:?}");
    assert_eq!(server.run::<u64>(&redis::cmd("DBSIZE")).await, 0);
}

#[tokio::test]
async fn a_key_of_somebody_else_is_permanent_and_says_to_choose_another_prefix() {
    let server = RedisServer::start().await;
    server.run::<()>(redis::cmd("LPUSH").arg("{warmup}:cap:global_hour").arg("not ours")).await;
    let caps = RedisCaps::new(connect(&server.url(), 1).await.unwrap(), "warmup", WIDE).unwrap();
    let error = caps.grant(None, &asks::of(&[UserId(1)]), &[]).await.unwrap_err();
    assert!(matches!(error, PortError::Permanent(_)), "{error:?}");
    assert!(error.to_string().contains("WARMUP_REDIS_PREFIX"), "{error}");
}

#[tokio::test]
async fn a_lease_really_runs_out() {
    let server = RedisServer::start().await;
    let leases = RedisLeases::new(connect(&server.url(), 1).await.unwrap(), "warmup");
    let (one, other) = (RunId(Uuid::now_v7()), RunId(Uuid::now_v7()));
    leases.acquire(one, &[LeaseKey::Solo], Duration::from_millis(30)).await.unwrap();
    let taken =
        async { while leases.acquire(other, &[LeaseKey::Solo], Duration::from_secs(15)).await.unwrap() != [true] {} };
    tokio::time::timeout(Duration::from_secs(20), taken).await.expect("it had 30 ms");
}

#[tokio::test]
async fn where_memory_is_short_nothing_is_taken_and_what_was_taken_is_given_back() {
    let server = RedisServer::start().await;
    let pool = connect(&server.url(), 4).await.unwrap();
    let (leases, members) = (RedisLeases::new(pool.clone(), "warmup"), RedisMembers::new(pool, "warmup"));
    let (run, key, ttl) = (RunId(Uuid::now_v7()), [LeaseKey::Solo], Duration::from_secs(15));
    leases.acquire(run, &key, ttl).await.unwrap();
    members.heartbeat(run, &MemberStatus::default(), LeaseKey::Solo, &[], ttl).await.unwrap();
    server.run::<()>(redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(1)).await;
    let refused = members.heartbeat(run, &MemberStatus::default(), LeaseKey::Solo, &[], ttl).await.unwrap_err();
    assert!(matches!(refused, PortError::Unavailable(_)), "{refused:?}");
    assert_eq!(members.members().await.unwrap().len(), 1, "looking takes no memory");
    leases.release(run, &key).await.unwrap();
    members.leave(run).await.unwrap();
    assert_eq!(server.run::<u64>(redis::cmd("EXISTS").arg("{warmup}:lease:solo").arg("{warmup}:members")).await, 0);
}

#[tokio::test]
async fn a_server_that_is_busy_with_a_script_is_waited_for() {
    let server = RedisServer::start_with(&["--lua-time-limit", "1"]).await;
    let leases = RedisLeases::new(connect(&server.url(), 4).await.unwrap(), "warmup");
    let (key, ttl) = ([LeaseKey::Solo], Duration::from_secs(15));
    let owner = RunId(Uuid::now_v7());
    leases.acquire(owner, &key, ttl).await.unwrap();
    let (mut other, mut operator) = (server.connection().await, server.connection().await);
    let endless = tokio::spawn(async move {
        let _ = redis::cmd("EVAL").arg("while true do end").arg(0).query_async::<()>(&mut other).await;
    });
    let busy = async {
        loop {
            if let Err(error) = leases.renew(owner, &key, ttl).await {
                return error;
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(20), busy).await.expect("it answers that it is busy");
    assert!(matches!(error, PortError::Unavailable(_)), "{error:?}");
    redis::cmd("SCRIPT").arg("KILL").query_async::<()>(&mut operator).await.unwrap();
    endless.await.unwrap();
    assert_eq!(leases.renew(owner, &key, ttl).await.unwrap(), [true]);
}
