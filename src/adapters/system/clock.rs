//! `SystemClock` reads the system's time, at its own pace or with the day clock scaled for a demo.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use rustix::time::{ClockId, clock_gettime};

use crate::{domain::lease::MachineTime, ports::Clock};

/// The time within which a machine that was suspended notices that the wall clock has moved on.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// `SystemClock` provides the system's clocks.
#[derive(Clone, Debug)]
pub struct SystemClock {
    scale: Option<Scale>,
}

#[derive(Clone, Debug)]
struct Scale {
    day: DateTime<Utc>,
    machine: MachineTime,
    speed: f64,
}

impl SystemClock {
    /// Returns a clock of the real day at its own pace.
    pub fn real() -> SystemClock {
        SystemClock { scale: None }
    }

    /// Returns a day clock that shows `day` now and runs `speed` times as fast as the machine's.
    pub fn scaled(day: DateTime<Utc>, speed: f64) -> SystemClock {
        SystemClock { scale: Some(Scale { day, machine: boot_time(), speed }) }
    }

    /// Returns the machine time until the day clock has moved by `day`.
    fn machine_time(&self, day: TimeDelta) -> Duration {
        let day = day.to_std().unwrap_or_default();
        match &self.scale {
            Some(scale) => day.div_f64(scale.speed),
            None => day,
        }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        match &self.scale {
            Some(Scale { day, machine, speed }) => {
                let passed = boot_time().since(*machine).mul_f64(*speed);
                *day + TimeDelta::from_std(passed).unwrap_or(TimeDelta::MAX)
            }
            None => wall_time(),
        }
    }

    fn machine(&self) -> MachineTime {
        boot_time()
    }

    fn caps_now(&self) -> Option<i64> {
        self.scale.as_ref().map(|_| self.now().timestamp_micros())
    }

    fn caps_span(&self, machine: Duration) -> Duration {
        self.scale.as_ref().map_or(machine, |scale| machine.mul_f64(scale.speed))
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        loop {
            let left = self.machine_time(at - self.now());
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

#[expect(clippy::disallowed_methods, reason = "this is where the wall clock enters")]
fn wall_time() -> DateTime<Utc> {
    Utc::now()
}

/// Returns the time since boot, which includes suspended time if the system has such a clock.
fn boot_time() -> MachineTime {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: ClockId = ClockId::Boottime;
    // macOS and the BSDs: their monotonic clock is the best available.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: ClockId = ClockId::Monotonic;
    let time = clock_gettime(CLOCK);
    MachineTime(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_day_runs_faster_than_the_machine() {
        let day = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = SystemClock::scaled(day, 500.0);
        assert_eq!(clock.machine_time(TimeDelta::seconds(500)), Duration::from_secs(1));
        assert_eq!(clock.caps_span(Duration::from_secs(2)), Duration::from_secs(1_000));
        assert_eq!(SystemClock::real().caps_span(Duration::from_secs(2)), Duration::from_secs(2));
        let (before, shown, after) = (clock.machine(), clock.now(), clock.machine());
        assert!(shown >= day && before <= after);
        assert!(clock.caps_now().is_some() && SystemClock::real().caps_now().is_none());
    }

    #[tokio::test]
    async fn what_is_past_is_not_waited_for() {
        let clock = SystemClock::real();
        clock.sleep_until(clock.now() - TimeDelta::hours(1)).await;
    }
}
