//! `HandClock` is a clock that a test moves by hand. Its day clock and its machine clock move together.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use warmup::{domain::lease::MachineTime, ports::Clock};

/// A clock that starts in November 2023, or at a given time, and stands still until a test moves it.
#[derive(Debug)]
pub struct HandClock {
    start_micros: i64,
    passed_micros: AtomicU64,
    moved: Notify,
}

const START_MICROS: i64 = 1_700_000_000_000_000;

impl Default for HandClock {
    fn default() -> HandClock {
        HandClock { start_micros: START_MICROS, passed_micros: AtomicU64::default(), moved: Notify::default() }
    }
}

impl HandClock {
    /// Starts at `start`.
    pub fn starting_at(start: DateTime<Utc>) -> HandClock {
        HandClock { start_micros: start.timestamp_micros(), ..HandClock::default() }
    }

    /// Moves the clock forward and wakes all waiting tasks.
    pub fn pass(&self, time: Duration) {
        self.passed_micros.fetch_add(time.as_micros() as u64, Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    /// Returns the current time in microseconds since 1970.
    pub fn micros(&self) -> i64 {
        self.start_micros + self.passed_micros.load(Ordering::SeqCst) as i64
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.micros()).expect("the test does not pass 260,000 years")
    }

    fn machine(&self) -> MachineTime {
        MachineTime(Duration::from_micros(self.passed_micros.load(Ordering::SeqCst)))
    }

    fn caps_now(&self) -> Option<i64> {
        Some(self.micros())
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // The task registers before it looks, so that it misses no move in between.
            moved.as_mut().enable();
            if self.now() >= at {
                return;
            }
            moved.await;
        }
    }

    async fn sleep(&self, time: Duration) {
        self.sleep_until(self.now() + time).await;
    }
}
