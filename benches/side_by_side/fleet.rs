//! What sharing costs: the heartbeat, who owns what, and a simulated day of a large fleet.

use std::{
    collections::BTreeSet,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::process::Command;
use uuid::Uuid;
use warmup::{
    adapters::redis::{RedisLeases, RedisMembers, open},
    domain::{
        id::{Epoch, RunId, ShardId},
        lease_rotation::LeaseRotation,
        ownership::target_owners,
        shard::all_shards,
    },
    ports::{LeaseKey, Leases, MemberStatus, MembershipStore},
};
use warmup_support::redis_server::RedisServer;

use super::{BINARY, row::Rows, send::median};

const SHARDS: u16 = 4_096;
const BEATS: u64 = 200;
const WORKERS: u128 = 50;
const TTL: Duration = Duration::from_secs(60);

/// The heartbeat of a worker that holds 4,096 shards, and what a worker that leaves moves.
pub async fn shards(rows: &mut Rows) {
    rows.part("a fleet of 4,096 shards");
    heartbeat(rows).await;
    ownership(rows);
}

/// As a worker beats: all leases at first, then in turns.
async fn heartbeat(rows: &mut Rows) {
    let server = RedisServer::start().await;
    let pool = open(&server.url(), 2).unwrap();
    let (leases, members) = (RedisLeases::new(pool.clone(), "bench"), RedisMembers::new(pool, "bench"));
    let (run, shards) = (RunId(Uuid::now_v7()), all_shards(SHARDS));
    let read: Vec<(ShardId, Epoch)> = shards.iter().map(|shard| (*shard, Epoch(1))).collect();
    let status = MemberStatus { shards: SHARDS, held: shards.iter().copied().collect(), ..MemberStatus::default() };
    assert_eq!(leases.acquire(run, &[LeaseKey::Solo], TTL).await.unwrap(), [true]);
    members.heartbeat(run, &MemberStatus::default(), LeaseKey::Solo, &[], TTL).await.unwrap();
    assert!(members.claim(run, &shards, TTL).await.unwrap().iter().all(|won| *won));
    let (mut turns, mut before, mut times) = (LeaseRotation::default(), 0, Vec::new());
    for beat in 0..=BEATS {
        let due = turns.due(&read);
        let began = Instant::now();
        let pulse = members.heartbeat(run, &status, LeaseKey::Solo, &due, TTL).await.unwrap();
        times.push(began.elapsed().as_secs_f64() * 1e3);
        assert!(pulse.was_member && pulse.has_exclusive_lease && pulse.still_held.iter().all(|kept| *kept));
        turns = turns.advance(read.clone());
        if beat == 0 {
            before = server.calls("evalsha").await;
        }
    }
    let first = times.remove(0);
    times.sort_by(f64::total_cmp);
    let calls = (server.calls("evalsha").await - before) as f64 / BEATS as f64;
    rows.at_most("EVALSHA a heartbeat", calls, 1.0, "");
    rows.at_most("a heartbeat, p50", times[times.len() / 2], 5.0, "ms");
    rows.note("a heartbeat, p99", &format!("{:.2} ms", times[times.len() * 99 / 100]));
    rows.note("one that extends all leases, as the first", &format!("{first:.2} ms"));
}

/// One of fifty leaves: what moves by the sticky rendezvous, and by `shard % workers`.
fn ownership(rows: &mut Rows) {
    let workers: Vec<RunId> = (1..=WORKERS).map(|n| RunId(Uuid::from_u128(n))).collect();
    let stay = &workers[1..];
    let before = target_owners(&vec![None; usize::from(SHARDS)], &workers);
    let orphaned: Vec<Option<RunId>> = before.iter().map(|owner| owner.filter(|owner| stay.contains(owner))).collect();
    let times = (0..20).map(|_| {
        let began = Instant::now();
        std::hint::black_box(target_owners(&orphaned, stay));
        began.elapsed().as_secs_f64() * 1e3
    });
    rows.note("who owns what, 50 workers", &format!("{:.2} ms", median(times)));
    let moved = before.iter().zip(target_owners(&orphaned, stay)).filter(|(before, after)| **before != *after).count();
    let by_modulo = |shard: ShardId, of: &[RunId]| of[usize::try_from(shard.0).unwrap() % of.len()];
    let modulo = all_shards(SHARDS).into_iter().filter(|shard| by_modulo(*shard, &workers) != by_modulo(*shard, stay));
    let held: BTreeSet<usize> = stay
        .iter()
        .map(|worker| target_owners(&orphaned, stay).iter().filter(|owner| **owner == Some(*worker)).count())
        .collect();
    rows.note("one of 50 leaves: shards that move, of 4,096", &moved.to_string());
    rows.note("the same by shard modulo workers", &modulo.count().to_string());
    rows.note("then each of the others holds", &format!("{held:?}"));
}

/// `warmup simulate` with the settings of the largest fleet.
pub async fn simulated(rows: &mut Rows) {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/env/large.env");
    let mut command = Command::new(BINARY);
    command.args(["simulate", "--mailboxes", "100000", "--workers", "10", "--json", "--config"]).arg(config);
    let began = Instant::now();
    let ran = command.stderr(Stdio::inherit()).output().await.unwrap();
    let took = began.elapsed().as_secs_f64();
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
    rows.part("warmup simulate: 10 workers, 100,000 mailboxes, a day");
    rows.note("mails sent", &told["sent"].to_string());
    rows.at_most("took", took, 60.0, "s");
}
