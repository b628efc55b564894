//! The real binary over TLS, with a user that may do no more than the documentation lists; and without what it needs.

use warmup::adapters::redis::acl_rule;
use warmup_support::{
    mailstack::Authority,
    redis_server::RedisServer,
    world::{eventually, postgres, redis},
};

use crate::{
    host::Host,
    process::Fleet,
    workers::{PATIENCE, SHARED},
};

async fn leases(server: &RedisServer) -> usize {
    let keys: Vec<String> = server.run(redis::cmd("KEYS").arg("*:lease:shard:*")).await;
    keys.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_works_over_tls_with_the_least_rights_and_says_what_is_missing() {
    let (database, cache, host, authority) = (postgres().await, redis().await, Host::start().await, Authority::new());
    let server = RedisServer::start_encrypted(&authority, &[]).await;
    let rule = acl_rule("warmup", false);
    let rights: Vec<&str> = ["on", ">s@crét"].into_iter().chain(rule.split(' ')).collect();
    server.run::<()>(redis::cmd("ACL").arg("SETUSER").arg("fleet").arg(rights)).await;
    let mut fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), 4, 2, &SHARED).await;
    fleet.set("REDIS_URL", &server.url().replace("//", "//fleet:s%40cr%C3%A9t@"));

    let (code, said) = fleet.start().ended().await;
    assert!(code == Some(1) && said.contains("UnknownIssuer") && said.contains("WARMUP_TLS_CA_FILE"), "{said}");

    fleet.set("WARMUP_TLS_CA_FILE", &authority.file().display().to_string());
    let worker = fleet.start();
    eventually(PATIENCE, async || leases(&server).await == 16).await;
    let (done, said) = fleet.order(&["fleet", "stop"]).await;
    assert!(done && !said.contains("does not pass it on"), "{said}");
    worker.stop().await;
    assert_eq!(leases(&server).await, 0);

    server.run::<()>(redis::cmd("ACL").arg("SETUSER").arg("fleet").arg("-evalsha").arg("-publish")).await;
    let (code, said) = fleet.start().ended().await;
    assert!(code == Some(1) && said.contains("may not use EVALSHA, PUBLISH"), "{said}");
    assert!(said.contains("ACL SETUSER") && !said.contains("crét"), "{said}");
}
