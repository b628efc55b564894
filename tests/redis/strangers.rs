//! What the look at a Redis finds before a worker starts: a server of the wrong kind, and others under our names.

use warmup::{
    adapters::redis::{check, open},
    ports::PortError,
};
use warmup_support::redis_server::RedisServer;

async fn look(server: &RedisServer) -> Result<Vec<String>, PortError> {
    check(&open(&server.url(), 2).unwrap(), "warmup", 4_096).await
}

async fn refusal(server: &RedisServer) -> String {
    match look(server).await {
        Err(PortError::Permanent(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_of_another_program_is_named_and_not_touched() {
    for key in ["{warmup}:members", "{warmup}:statuses", "{warmup}:lease:shard:4095", "{warmup}:cap:global_hour"] {
        let server = RedisServer::start().await;
        server.run::<()>(redis::cmd("LPUSH").arg(key).arg("not ours")).await;
        let refusal = refusal(&server).await;
        assert!(refusal.contains(key) && refusal.contains("WARMUP_REDIS_PREFIX"), "{refusal}");
        let theirs: Vec<String> = server.run(redis::cmd("LRANGE").arg(key).arg(0).arg(-1)).await;
        assert_eq!(theirs, ["not ours"]);
    }
}

#[tokio::test]
async fn a_replica_is_refused_with_its_master() {
    let (master, replica) = (RedisServer::start().await, RedisServer::start().await);
    replica.run::<()>(redis::cmd("REPLICAOF").arg("127.0.0.1").arg(master.port())).await;
    let refusal = refusal(&replica).await;
    let named = format!("replica of 127.0.0.1:{}", master.port());
    assert!(refusal.contains(&named) && refusal.contains("name the master"), "{refusal}");
}

#[tokio::test]
async fn a_server_that_evicts_is_used_with_a_warning() {
    let server = RedisServer::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).await;
    let warnings = look(&server).await.unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("allkeys-lru"), "{warnings:?}");
}
