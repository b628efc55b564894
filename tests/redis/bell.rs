//! The bell: its conformance suite, and what Redis may do to it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use warmup::{
    adapters::{
        redis::{RedisNotifier, open},
        system::SystemClock,
    },
    ports::{Bell, Notification, PortError},
    simulation::MemoryNotifier,
};
use warmup_support::{
    conformance::bell::{BellWorld, hears},
    redis_server::RedisServer,
    wire::{Fault, Wire, port_of},
    world::eventually,
};

struct OnRedis(RedisServer);

impl OnRedis {
    fn at(&self, url: &str, prefix: &str) -> RedisNotifier {
        let pool = open(url, 2).unwrap();
        RedisNotifier::new(pool, prefix, Arc::new(SystemClock::real()))
    }
}

#[async_trait]
impl BellWorld for OnRedis {
    fn bell(&self) -> Arc<dyn Bell> {
        Arc::new(self.at(&self.0.url(), "warmup"))
    }
}

async fn on_redis() -> OnRedis {
    OnRedis(RedisServer::start().await)
}

struct InMemory(MemoryNotifier);

#[async_trait]
impl BellWorld for InMemory {
    fn bell(&self) -> Arc<dyn Bell> {
        Arc::new(self.0.another())
    }
}

async fn in_memory() -> InMemory {
    InMemory(MemoryNotifier::cast())
}

mod over_pub_sub {
    warmup_support::bell_conformance!(super::on_redis);
}

mod within_a_process {
    warmup_support::bell_conformance!(super::in_memory);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_of_redis_the_bell_says_to_look() {
    let mut world = on_redis().await;
    let bell = world.bell();
    hears(&*bell).await;
    world.0.restart().await;
    assert_eq!(hears(&*bell).await, Notification::Ordered);
    bell.ring(Notification::Trigger).await.unwrap();
    assert_eq!(hears(&*bell).await, Notification::Trigger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleets_with_other_prefixes_hear_nothing_of_each_other() {
    let world = on_redis().await;
    let (ours, theirs) = (world.bell(), world.at(&world.0.url(), "another"));
    hears(&*ours).await;
    hears(&theirs).await;
    theirs.ring(Notification::Trigger).await.unwrap();
    ours.ring(Notification::Ordered).await.unwrap();
    assert_eq!((hears(&theirs).await, hears(&*ours).await), (Notification::Trigger, Notification::Ordered));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_away_hears_no_ring_and_holds_nobody_up() {
    let mut world = on_redis().await;
    let bell = world.bell();
    world.0.kill();
    let error = bell.ring(Notification::Ordered).await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable(_)), "{error:?}");
    tokio::time::timeout(Duration::from_millis(200), bell.next()).await.expect_err("nobody rings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_died_without_a_word_is_laid_anew() {
    let world = on_redis().await;
    let way = Wire::to(port_of(&world.0.url())).await;
    let bell = world.at(&way.url(&world.0.url()), "warmup");
    hears(&bell).await;
    let listening = tokio::spawn(async move { (hears(&bell).await, hears(&bell).await) });

    way.cut(Fault::Hole);
    way.heal();

    let ringer = world.bell();
    let ring = async || {
        ringer.ring(Notification::Trigger).await.unwrap();
        listening.is_finished()
    };
    eventually(Duration::from_secs(20), ring).await;
    assert_eq!(listening.await.unwrap(), (Notification::Ordered, Notification::Trigger));
}
