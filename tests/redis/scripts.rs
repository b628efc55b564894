//! How the scripts are called, and which keys they touch.

use std::time::Duration;

use uuid::Uuid;
use warmup::{
    adapters::redis::{Pool, RedisCaps, RedisLeases, RedisMembers},
    domain::id::{FleetId, RunId, ShardId, UserId},
    ports::{Caps, Grant, LeaseKey, Leases, MemberStatus, MembershipStore},
};
use warmup_support::{
    asks,
    conformance::caps::WIDE,
    redis_server::{RedisServer, connect},
};

const START: i64 = 1_700_000_000_000_000;
const TTL: Duration = Duration::from_secs(15);
const LEASES: [LeaseKey; 3] = [LeaseKey::Solo, LeaseKey::Shard(ShardId(0)), LeaseKey::Shard(ShardId(255))];
const SHARDS: [ShardId; 2] = [ShardId(0), ShardId(255)];

fn caps(pool: &Pool) -> RedisCaps {
    RedisCaps::new(pool.clone(), "warmup", WIDE).unwrap()
}

/// Runs every script once, over several keys.
pub async fn run_all(pool: &Pool) {
    let (caps, leases) = (caps(pool), RedisLeases::new(pool.clone(), "warmup"));
    let users: Vec<UserId> = (1..20).map(UserId).collect();
    caps.grant(Some(START), &asks::of(&users), &[]).await.unwrap();
    caps.grant(None, &asks::of(&users), &[]).await.unwrap();
    let owner = RunId(Uuid::nil());
    assert_eq!(leases.acquire(owner, &LEASES, TTL).await.unwrap(), [true; 3]);
    assert_eq!(leases.renew(owner, &LEASES, TTL).await.unwrap(), [true; 3]);
    let members = RedisMembers::new(pool.clone(), "warmup");
    let (staying, going) = (owner, RunId(Uuid::max()));
    let status = MemberStatus { fleet: FleetId("ours".into()), ..MemberStatus::default() };
    members.heartbeat(staying, &status, LeaseKey::Solo, &[], TTL).await.unwrap();
    assert_eq!(members.claim(staying, &SHARDS, TTL).await.unwrap(), [true; 2]);
    let pulse = members.heartbeat(staying, &status, LeaseKey::Solo, &SHARDS, TTL).await.unwrap();
    assert_eq!((pulse.has_exclusive_lease, pulse.still_held), (true, vec![true; 2]));
    members.heartbeat(going, &MemberStatus::default(), LeaseKey::Name(1), &[], TTL).await.unwrap();
    members.leave(going).await.unwrap();
    assert_eq!(members.members().await.unwrap().len(), 1);
    leases.release(owner, &LEASES[1..]).await.unwrap();
}

#[tokio::test]
async fn a_batch_costs_one_evalsha_however_many_users_it_has() {
    let server = RedisServer::start().await;
    let caps = caps(&connect(&server.url(), 4).await.unwrap());
    caps.grant(Some(START), &asks::of(&[UserId(1)]), &[]).await.unwrap();
    let before = (server.calls("evalsha").await, server.calls("eval").await);
    for batch in 1..=20 {
        let users: Vec<UserId> = (0..100).map(|mail| UserId(mail % batch)).collect();
        caps.grant(Some(START + batch), &asks::of(&users), &[]).await.unwrap();
    }
    assert_eq!((server.calls("evalsha").await, server.calls("eval").await), (before.0 + 20, before.1));
}

#[tokio::test]
async fn a_heartbeat_is_one_evalsha_however_many_leases_it_renews() {
    let server = RedisServer::start().await;
    let members = RedisMembers::new(connect(&server.url(), 4).await.unwrap(), "warmup");
    let owner = RunId(Uuid::now_v7());
    for shards in [256, 4_096] {
        let shards: Vec<ShardId> = (0..shards).map(ShardId).collect();
        members.claim(owner, &shards, TTL).await.unwrap();
        members.heartbeat(owner, &MemberStatus::default(), LeaseKey::Solo, &shards, TTL).await.unwrap();
        let before = server.calls("evalsha").await;
        let pulse = members.heartbeat(owner, &MemberStatus::default(), LeaseKey::Solo, &shards, TTL).await.unwrap();
        assert!(pulse.still_held.iter().all(|kept| *kept));
        assert_eq!(server.calls("evalsha").await, before + 1);
    }
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_given_them_again() {
    let server = RedisServer::start().await;
    let pool = connect(&server.url(), 4).await.unwrap();
    run_all(&pool).await;
    server.run::<()>(redis::cmd("SCRIPT").arg("FLUSH")).await;
    run_all(&pool).await;
}

#[tokio::test]
async fn every_key_is_under_the_prefix_and_ends_by_itself() {
    let server = RedisServer::start().await;
    run_all(&connect(&server.url(), 4).await.unwrap()).await;
    let keys: Vec<String> = server.run(redis::cmd("KEYS").arg("*")).await;
    assert_eq!(keys.len(), 2 + 19 * 2 + 1 + 3, "caps, a lease, the members, their statuses and their fleet");
    for key in keys {
        assert!(key.starts_with("{warmup}:"), "{key}");
        let left: i64 = server.run(redis::cmd("PTTL").arg(&key)).await;
        assert!(left > 0, "{key} stays forever");
    }
}

#[tokio::test]
async fn a_bucket_outlives_the_week_of_a_rare_sender() {
    let server = RedisServer::start().await;
    run_all(&connect(&server.url(), 4).await.unwrap()).await;
    let left: i64 = server.run(redis::cmd("PTTL").arg("{warmup}:cap:user_minute:7")).await;
    assert!(left > 7 * 24 * 60 * 60 * 1_000, "{left} ms");
}

#[tokio::test]
async fn a_bucket_says_what_it_holds_and_who_wrote_it() {
    let server = RedisServer::start().await;
    let caps = caps(&connect(&server.url(), 4).await.unwrap());
    caps.grant(Some(START), &asks::of(&[UserId(1)]), &[]).await.unwrap();
    caps.grant(Some(START + 1), &asks::of(&[UserId(1)]), &[]).await.unwrap();
    let told: String = server.run(redis::cmd("INFO").arg("server")).await;
    let run_id = told.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap();
    let stored: String = server.run(redis::cmd("GET").arg("{warmup}:cap:global_minute")).await;
    assert_eq!(stored, format!("1 {} {run_id}", START + 1));
}

#[tokio::test]
async fn two_prefixes_on_one_server_are_two_fleets() {
    let server = RedisServer::start().await;
    let pool = connect(&server.url(), 4).await.unwrap();
    let (one, other) = (caps(&pool), RedisCaps::new(pool.clone(), "staging", WIDE).unwrap());
    one.grant(Some(START), &asks::of(&[UserId(1)]), &[]).await.unwrap();
    let later = START + 60_000_000;
    assert_eq!(one.grant(Some(later), &asks::of(&[UserId(1)]), &[]).await.unwrap(), [Grant::Granted]);
    assert!(
        matches!(other.grant(Some(later), &asks::of(&[UserId(1)]), &[]).await.unwrap()[0], Grant::Refused { .. }),
        "its own is cold"
    );
}
