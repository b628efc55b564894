//! A Redis whose clock is set: nothing that was saved by the old clock is spent, and nothing waits for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use warmup::{
    adapters::{redis::RedisCaps, system::SystemClock},
    domain::{id::UserId, lease::MachineTime},
    ports::{Caps, Clock, Grant},
};
use warmup_support::{
    asks,
    conformance::caps::WIDE,
    redis_server::{RedisServer, connect},
};

const CLOCK: &str = "{warmup}:cap:clock";

/// A machine clock that can be moved against the server's, which comes to the same as a server whose clock is set. It may
/// also pass a time at each look, as a question does that is under way for long.
struct Machine {
    real: SystemClock,
    hours: AtomicU64,
    ms_a_look: AtomicU64,
    passed_ms: AtomicU64,
}

impl Machine {
    fn at(hours: u64) -> Arc<Machine> {
        let (real, hours) = (SystemClock::real(), AtomicU64::new(hours));
        Arc::new(Machine { real, hours, ms_a_look: AtomicU64::new(0), passed_ms: AtomicU64::new(0) })
    }

    fn move_to(&self, hours: u64) {
        self.hours.store(hours, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for Machine {
    fn now(&self) -> DateTime<Utc> {
        self.real.now()
    }

    fn machine(&self) -> MachineTime {
        let passed = self.passed_ms.fetch_add(self.ms_a_look.load(Ordering::SeqCst), Ordering::SeqCst);
        let hours = Duration::from_secs(3_600 * self.hours.load(Ordering::SeqCst));
        self.real.machine().after(hours + Duration::from_millis(passed))
    }

    fn caps_now(&self) -> Option<i64> {
        None
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        self.real.sleep_until(at).await;
    }

    async fn sleep(&self, time: Duration) {
        self.real.sleep(time).await;
    }
}

async fn caps(server: &RedisServer, machine: &Arc<Machine>) -> RedisCaps {
    let pool = connect(&server.url(), 1).await.unwrap();
    RedisCaps::new(pool, "warmup", WIDE).unwrap().with_clock(machine.clone())
}

/// Asks for one mail, by the server's own time.
async fn is_granted(caps: &RedisCaps) -> bool {
    caps.grant(None, &asks::of(&[UserId(1)]), &[]).await.unwrap() == [Grant::Granted]
}

/// The generation that the server keeps; none as long as its clock was never set.
async fn generation(server: &RedisServer) -> Option<String> {
    let kept: Option<String> = server.run(redis::cmd("GET").arg(CLOCK)).await;
    kept.and_then(|kept| kept.split(' ').nth(1).map(str::to_owned))
}

#[tokio::test]
async fn a_clock_that_was_set_makes_every_bucket_cold_once() {
    // The machine's clock never goes back, so a server that is set back is what can be shown here.
    {
        let set_to = 11;
        let (server, machine) = (RedisServer::start().await, Machine::at(10));
        let (one, other) = (caps(&server, &machine).await, caps(&server, &machine).await);
        // A token comes every millisecond.
        while !is_granted(&one).await {}
        while !is_granted(&other).await {}
        assert_eq!(generation(&server).await, None);
        machine.move_to(set_to);
        assert!(!is_granted(&one).await, "the bucket is cold, exactly at 0");
        assert_eq!(generation(&server).await.as_deref(), Some("1"));
        while !is_granted(&one).await {}
        is_granted(&other).await;
        while !is_granted(&other).await {}
        assert_eq!(
            generation(&server).await.as_deref(),
            Some("1"),
            "the other learns of the same setting of the clock"
        );
    }
}

#[tokio::test]
async fn a_worker_that_starts_after_the_clock_was_set_goes_by_the_same_generation() {
    let (server, machine) = (RedisServer::start().await, Machine::at(10));
    let one = caps(&server, &machine).await;
    is_granted(&one).await;
    machine.move_to(11);
    is_granted(&one).await;
    let late = caps(&server, &machine).await;
    while !is_granted(&late).await {}
    assert_eq!(generation(&server).await.as_deref(), Some("1"));
}

/// Its answer says too little of when the server looked at its clock.
#[tokio::test]
async fn an_answer_that_took_long_is_no_clock_that_was_set() {
    let (server, machine) = (RedisServer::start().await, Machine::at(10));
    let caps = caps(&server, &machine).await;
    machine.ms_a_look.store(3_000, Ordering::SeqCst);
    is_granted(&caps).await;
    machine.ms_a_look.store(0, Ordering::SeqCst);
    is_granted(&caps).await;
    is_granted(&caps).await;
    assert_eq!(generation(&server).await, None);
}
