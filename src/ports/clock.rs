//! `Clock` reads the two clocks of a worker.
//!
//! The *day clock* drives plans and caps, and may run faster in a demo. The *machine clock* drives leases, timeouts and
//! deadlines, and never does. All time comes from this port, so that the simulation can run the worker in virtual time.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::lease::MachineTime;

/// The day clock and the machine clock of one worker.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Returns the present time of the day clock.
    fn now(&self) -> DateTime<Utc>;

    /// Returns the present time of the machine clock, which also runs while the machine is suspended.
    fn machine(&self) -> MachineTime;

    /// Returns the time of the day clock for the caps, in microseconds since the epoch. `None` makes Redis use its own
    /// `TIME`, as a fleet on real machines does. A scaled or virtual clock must return its own time.
    fn caps_now(&self) -> Option<i64>;

    /// Converts `machine`, a duration on the machine clock, to the clock of the caps.
    fn caps_span(&self, machine: Duration) -> Duration {
        machine
    }

    /// Waits until the day clock shows `at` or a later time.
    async fn sleep_until(&self, at: DateTime<Utc>);

    /// Waits for `time` on the machine clock.
    async fn sleep(&self, time: Duration);
}
