//! `VirtualClock` runs a simulation on tokio's time, which a paused runtime advances whenever all tasks wait.
//!
//! A suspended machine stops tokio's time but not the two clocks of the worker. Both clocks jump when the machine
//! wakes, while every timer continues from its old position.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::{domain::lease::MachineTime, ports::Clock};

/// The maximum time before a sleeper reads the clock again, as in the system clock.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The day clock and the machine clock of a simulation. Both run alike, from a given day on.
#[derive(Clone, Debug)]
pub struct VirtualClock {
    day: DateTime<Utc>,
    began: Instant,
    slept_micros: Arc<AtomicU64>,
}

impl VirtualClock {
    /// Returns a clock that shows `day` now, for runtimes with paused time.
    pub fn starting_at(day: DateTime<Utc>) -> VirtualClock {
        VirtualClock { day, began: instant(), slept_micros: Arc::default() }
    }

    /// Suspends the machine of all clones, and wakes it after `time`.
    pub fn suspend(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.slept_micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn passed(&self) -> Duration {
        instant() - self.began + Duration::from_micros(self.slept_micros.load(Ordering::Relaxed))
    }
}

#[expect(clippy::disallowed_methods, reason = "tokio's clock is the virtual one here")]
fn instant() -> Instant {
    Instant::now()
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> DateTime<Utc> {
        self.day + TimeDelta::from_std(self.passed()).unwrap_or(TimeDelta::MAX)
    }

    fn machine(&self) -> MachineTime {
        MachineTime(self.passed())
    }

    fn caps_now(&self) -> Option<i64> {
        Some(self.now().timestamp_micros())
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        // Timers have a resolution of 1 ms. A time that is rounded down would wake its sleeper too early, forever.
        while let Ok(left) = (at - self.now()).to_std() {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK_AGAIN)).await;
        }
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_slept_through_a_suspension_notices_soon() {
        let clock = VirtualClock::starting_at(DateTime::UNIX_EPOCH);
        let noon = DateTime::UNIX_EPOCH + TimeDelta::hours(12);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep_until(noon).await;
                clock.now() - noon
            }
        });
        tokio::time::sleep(Duration::from_secs(3600)).await;
        clock.suspend(Duration::from_secs(12 * 3600));
        let late = sleeper.await.unwrap() - TimeDelta::hours(1);
        assert!(late >= TimeDelta::zero() && late <= TimeDelta::seconds(5), "{late}");
    }
}
