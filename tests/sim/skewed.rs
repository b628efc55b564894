//! Clocks that are off and can jump: a worker's, beside others whose clocks are right, and that of a Redis server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use warmup::{domain::lease::MachineTime, ports::Clock};

/// As the system's clock does, a sleeper reads the clock again within this time.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The machine time of a server at the start of a simulation, so that its clock can jump back.
const UP_SINCE: Duration = Duration::from_hours(10 * 24);

/// Shows another day time than the fleet's; its machine clock goes as everybody's.
pub struct Skewed {
    right: Arc<dyn Clock>,
    ahead_micros: AtomicI64,
}

impl Skewed {
    /// A clock that is `ahead` of `right`, until it jumps.
    pub fn new(right: Arc<dyn Clock>, ahead: TimeDelta) -> Skewed {
        let clock = Skewed { right, ahead_micros: AtomicI64::new(0) };
        clock.jump_to(ahead);
        clock
    }

    /// Jumps, so that it is `ahead` of the right clock.
    pub fn jump_to(&self, ahead: TimeDelta) {
        self.ahead_micros.store(ahead.num_microseconds().expect("a clock is off by days at most"), Ordering::Relaxed);
    }

    fn ahead(&self) -> TimeDelta {
        TimeDelta::microseconds(self.ahead_micros.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl Clock for Skewed {
    fn now(&self) -> DateTime<Utc> {
        self.right.now() + self.ahead()
    }

    fn machine(&self) -> MachineTime {
        self.right.machine()
    }

    /// As a real machine does, so that its clock is compared with the service's.
    fn caps_now(&self) -> Option<i64> {
        None
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        while let Ok(left) = (at - self.now()).to_std() {
            if left.is_zero() {
                return;
            }
            self.right.sleep(left.min(LOOK_AGAIN)).await;
        }
    }

    async fn sleep(&self, time: Duration) {
        self.right.sleep(time).await;
    }
}

/// The clock of a Redis server. Its `TIME` and the expiry of its keys follow one clock, so both jump together.
pub struct ServerClock(Skewed);

impl ServerClock {
    /// A clock that shows what `right` shows, until it jumps.
    pub fn new(right: Arc<dyn Clock>) -> ServerClock {
        ServerClock(Skewed::new(right, TimeDelta::zero()))
    }

    /// Jumps, so that it is `ahead` of the right clock.
    pub fn jump_to(&self, ahead: TimeDelta) {
        self.0.jump_to(ahead);
    }
}

#[async_trait]
impl Clock for ServerClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn machine(&self) -> MachineTime {
        let (up, ahead) = (self.0.machine().after(UP_SINCE), self.0.ahead());
        let by = Duration::from_micros(ahead.num_microseconds().unwrap_or_default().unsigned_abs());
        MachineTime(if ahead < TimeDelta::zero() { up.0.saturating_sub(by) } else { up.0.saturating_add(by) })
    }

    fn caps_now(&self) -> Option<i64> {
        None
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        self.0.sleep_until(at).await;
    }

    async fn sleep(&self, time: Duration) {
        self.0.sleep(time).await;
    }
}
