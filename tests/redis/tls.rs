//! TLS to Redis: both kinds of roots, and each mistake told at once with what to do.

use std::path::Path;

use uuid::Uuid;
use warmup::{
    adapters::redis::{Address, Pool, RedisLeases, RedisNotifier, check},
    adapters::system::SystemClock,
    domain::id::RunId,
    ports::{Bell, LeaseKey, Leases, Notification, PortError},
};
use warmup_support::{conformance::bell::hears, mailstack::Authority, redis_server::RedisServer};

use crate::scripts::run_all;

fn pool(url: &str, ca_file: Option<&Path>) -> Pool {
    Pool::open(Address::of(url, ca_file).unwrap(), 4).unwrap()
}

/// What the start of a worker would say.
async fn refusal(url: &str, ca_file: Option<&Path>) -> String {
    match check(&pool(url, ca_file), "warmup", 4).await {
        Err(PortError::Permanent(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_a_worker_asks_is_asked_over_tls_with_a_user_and_a_password_of_any_characters() {
    let authority = Authority::new();
    let server = RedisServer::start_encrypted(&authority, &[]).await;
    let rights = ["on", ">p@ss/w:rd%#?&", "~*", "&*", "+@all"];
    server.run::<()>(redis::cmd("ACL").arg("SETUSER").arg("fl:eet").arg(&rights)).await;
    server.run::<()>(redis::cmd("ACL").arg("SETUSER").arg("default").arg("off")).await;
    let url = server.url().replace("//", "//fl%3Aeet:p%40ss%2Fw%3Ard%25%23%3F%26@");
    let pool = pool(&url, Some(authority.file()));

    assert_eq!(check(&pool, "warmup", 4).await.unwrap(), [""; 0]);
    run_all(&pool).await;
    let bell = RedisNotifier::new(pool, "warmup", std::sync::Arc::new(SystemClock::real()));
    hears(&bell).await;
    bell.ring(Notification::Trigger).await.unwrap();
    assert_eq!(hears(&bell).await, Notification::Trigger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_of_further_roots_may_hold_several() {
    let (one, two) = (Authority::new(), Authority::new());
    let both = tempfile::NamedTempFile::new().unwrap();
    let pem = [one.file(), two.file()].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    std::fs::write(both.path(), pem).unwrap();
    for authority in [&one, &two] {
        let server = RedisServer::start_encrypted(authority, &[]).await;
        let leases = RedisLeases::new(pool(&server.url(), Some(both.path())), "warmup");
        let ttl = std::time::Duration::from_secs(15);
        assert_eq!(leases.acquire(RunId(Uuid::nil()), &[LeaseKey::Solo], ttl).await.unwrap(), [true]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_an_unknown_authority_is_refused_with_where_to_name_it() {
    let (authority, another) = (Authority::new(), Authority::new());
    let server = RedisServer::start_encrypted(&authority, &[]).await;
    for known in [None, Some(another.file())] {
        let refusal = refusal(&server.url(), known).await;
        assert!(refusal.contains("UnknownIssuer") && refusal.contains("WARMUP_TLS_CA_FILE"), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let server = RedisServer::start_encrypted(&authority, &[]).await;
    let refusal = refusal(&server.url().replace("localhost", "127.0.0.1"), Some(authority.file())).await;
    assert!(refusal.contains("127.0.0.1") && refusal.contains("write a name that stands in"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_speaks_the_wrong_way_is_told_so_and_does_not_wait() {
    let authority = Authority::new();
    let (encrypted, plain) = (RedisServer::start_encrypted(&authority, &[]).await, RedisServer::start().await);

    let told = refusal(&format!("redis://:canary@localhost:{}", encrypted.port()), Some(authority.file())).await;
    assert!(told.contains("speaks TLS: write rediss://") && !told.contains("canary"), "{told}");

    let told = refusal(&format!("rediss://:canary@localhost:{}", plain.port()), Some(authority.file())).await;
    assert!(told.contains("speaks without TLS: write redis://") && !told.contains("canary"), "{told}");
    plain.run::<()>(redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("other")).await;
    let told = refusal(&format!("rediss://:canary@localhost:{}", plain.port()), None).await;
    assert!(told.contains("speaks without TLS: write redis://"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_wants_our_certificate_is_refused_with_its_setting() {
    let authority = Authority::new();
    let server = RedisServer::start_encrypted(&authority, &[]).await;
    server.run::<()>(redis::cmd("CONFIG").arg("SET").arg("tls-auth-clients").arg("yes")).await;
    let refusal = refusal(&server.url(), Some(authority.file())).await;
    assert!(refusal.contains("tls-auth-clients no"), "{refusal}");
}
