//! Virtual time: tokio's own, which a paused runtime moves on whenever nobody has anything to do.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::{domain::lease::MachineTime, ports::Clock};

/// Both clocks of a simulation. They go alike, from a given day on.
#[derive(Clone, Debug)]
pub struct VirtualClock {
    day: DateTime<Utc>,
    began: Instant,
}

impl VirtualClock {
    /// A clock that shows `day` now. For runtimes whose time is paused.
    pub fn starting_at(day: DateTime<Utc>) -> VirtualClock {
        VirtualClock { day, began: instant() }
    }

    fn passed(&self) -> Duration {
        instant() - self.began
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
        // Timers fire to the millisecond: one rounded down would wake its sleeper early, for ever.
        while let Ok(left) = (at - self.now()).to_std() {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
