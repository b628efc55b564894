//! Redis Cluster: all our keys lie in one slot, and whoever has it is found, wherever REDIS_URL leads.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;
use warmup::{
    adapters::{
        redis::{
            Address, Pool, RedisCaps, RedisLeases, RedisMembers, RedisNotifier, RedisObserver, acl_rule, check, open,
        },
        system::SystemClock,
    },
    domain::id::{RunId, UserId},
    ports::{Bell, Caps, LeaseKey, Leases, MemberStatus, MembershipStore, Notification, PortError},
};
use warmup_support::{
    asks,
    conformance::{bell::hears, caps::WIDE},
    mailstack::Authority,
    redis_cluster::RedisCluster,
    world::eventually,
};

use crate::scripts::run_all;

const KEY: &str = "{warmup}:members";
/// Longer than a cluster ever takes to agree: here leases end by hand.
const TTL: Duration = Duration::from_secs(300);
const PATIENCE: Duration = Duration::from_secs(60);

/// A node that does not have our slot.
async fn stranger(cluster: &RedisCluster) -> usize {
    (cluster.owner(KEY).await + 1) % 3
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_with_all_slots_serves_a_user_with_no_more_rights_than_documented() {
    let cluster = RedisCluster::start(1).await;
    let node = cluster.node(0);
    let rule = acl_rule("warmup", true);
    let rights: Vec<&str> = ["on", ">secret"].into_iter().chain(rule.split(' ')).collect();
    node.run::<()>(redis::cmd("ACL").arg("SETUSER").arg("fleet").arg(rights)).await;
    let pool = open(&node.url().replace("//", "//fleet:secret@"), 4).unwrap();
    check(&pool, "warmup", 256).await.unwrap();
    run_all(&pool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_any_of_three_nodes_all_is_done_and_everybody_hears_the_bell() {
    let cluster = RedisCluster::start(3).await;
    let mut bells = Vec::new();
    for n in 0..3 {
        let pool = open(&cluster.node(n).url(), 4).unwrap();
        check(&pool, "warmup", 256).await.unwrap();
        run_all(&pool).await;
        let bell = RedisNotifier::new(pool, "warmup", Arc::new(SystemClock::real()));
        hears(&bell).await;
        bells.push(bell);
    }
    // One that was never told where the slot is rings from another node than those who listen.
    let fresh = open(&cluster.node(stranger(&cluster).await).url(), 1).unwrap();
    RedisNotifier::new(fresh, "warmup", Arc::new(SystemClock::real())).ring(Notification::Trigger).await.unwrap();
    for bell in &bells {
        assert_eq!(hears(bell).await, Notification::Trigger);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_is_followed_with_what_is_in_it() {
    let cluster = RedisCluster::start(3).await;
    let pool = open(&cluster.node(stranger(&cluster).await).url(), 4).unwrap();
    check(&pool, "warmup", 4).await.unwrap();
    let (leases, members) = (RedisLeases::new(pool.clone(), "warmup"), RedisMembers::new(pool.clone(), "warmup"));
    let caps = RedisCaps::new(pool.clone(), "warmup", WIDE).unwrap();
    let bell = RedisNotifier::new(pool, "warmup", Arc::new(SystemClock::real()));
    let (run, key) = (RunId(Uuid::now_v7()), [LeaseKey::Solo]);
    leases.acquire(run, &key, TTL).await.unwrap();
    members.heartbeat(run, &MemberStatus::default(), LeaseKey::Solo, &[], TTL).await.unwrap();
    caps.grant(None, &asks::of(&[UserId(1)]), &[]).await.unwrap();
    hears(&bell).await;

    for _ in 0..2 {
        cluster.move_slot(KEY, stranger(&cluster).await).await;

        let pulse = members.heartbeat(run, &MemberStatus::default(), LeaseKey::Solo, &[], TTL).await.unwrap();
        assert_eq!((pulse.was_member, pulse.has_exclusive_lease), (true, true), "it moved with its keys");
        caps.grant(None, &asks::of(&[UserId(1)]), &[]).await.unwrap();
        assert_eq!(leases.renew(run, &key, TTL).await.unwrap(), [true]);
        assert_eq!(hears(&bell).await, Notification::Ordered, "who follows looks again");
        bell.ring(Notification::Trigger).await.unwrap();
        assert_eq!(hears(&bell).await, Notification::Trigger);
    }
}

/// As the API does, which answers before Redis is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_checks_nothing_at_the_start_knows_the_others_from_the_first_answer_on() {
    let mut cluster = RedisCluster::start(3).await;
    let first = stranger(&cluster).await;
    cluster.move_slot(KEY, first).await;
    let lookout = RedisObserver::new(open(&cluster.node(first).url(), 4).unwrap(), "warmup");
    assert_eq!(lookout.members().await.unwrap().len(), 0, "no move told it of anybody else");
    cluster.kill(first);
    lookout.members().await.unwrap_err();
    cluster.take_over(KEY, first, (first + 1) % 3).await;
    eventually(PATIENCE, async || lookout.members().await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_node_of_the_url_dies_the_others_are_known_by_then() {
    let mut cluster = RedisCluster::start(3).await;
    let first = stranger(&cluster).await;
    let pool = open(&cluster.node(first).url(), 4).unwrap();
    check(&pool, "warmup", 4).await.unwrap();
    cluster.move_slot(KEY, first).await;
    let leases = RedisLeases::new(pool.clone(), "warmup");
    leases.acquire(RunId(Uuid::nil()), &[LeaseKey::Solo], TTL).await.unwrap();

    cluster.kill(first);
    let error = leases.acquire(RunId(Uuid::nil()), &[LeaseKey::Solo], TTL).await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable(_) | PortError::Unknown(_)), "{error:?}");
    // As a cluster's operator does when a master without a replica is lost for good.
    cluster.take_over(KEY, first, (first + 1) % 3).await;

    eventually(PATIENCE, async || leases.acquire(RunId(Uuid::nil()), &[LeaseKey::Solo], TTL).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_over_a_cluster_is_encrypted_and_known_to_the_end() {
    let authority = Authority::new();
    let cluster = RedisCluster::start_encrypted(&authority, 3).await;
    for n in 0..3 {
        let rights = ["on", ">p%ss", "~*", "&*", "+@all"];
        cluster.node(n).run::<()>(redis::cmd("ACL").arg("SETUSER").arg("fleet").arg(&rights)).await;
    }
    let url = cluster.node(stranger(&cluster).await).url().replace("//", "//fleet:p%25ss@");
    let pool = Pool::open(Address::of(&url, Some(authority.file())).unwrap(), 4).unwrap();
    check(&pool, "warmup", 4).await.unwrap();
    run_all(&pool).await;
    cluster.move_slot(KEY, stranger(&cluster).await).await;
    run_all(&pool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_has_no_databases() {
    let cluster = RedisCluster::start(1).await;
    let pool = open(&format!("{}/1", cluster.node(0).url()), 1).unwrap();
    let error = check(&pool, "warmup", 4).await.unwrap_err();
    assert!(matches!(&error, PortError::Permanent(told) if told.contains("without a number")), "{error:?}");
}
