//! The two clocks. The *day* clock says when mails go out and may run faster for a demo; the *machine* clock times
//! leases, networks and deadlines and never does.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::lease::MachineTime;

/// Time, from one place, so that the whole worker runs under virtual time in the simulation.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now on the day clock.
    fn now(&self) -> DateTime<Utc>;

    /// Now on the machine clock, which runs on while the machine is suspended.
    fn machine(&self) -> MachineTime;

    /// The day clock's time for the caps, in microseconds since the epoch; `None` lets Redis use its own `TIME`,
    /// which is what a fleet of real machines does. A scaled or virtual clock must bring its own.
    fn caps_now(&self) -> Option<i64>;

    /// How long `machine`, a time on the machine clock, is on the clock that the caps count in.
    fn caps_span(&self, machine: Duration) -> Duration {
        machine
    }

    /// Waits until the day clock shows `at` or later.
    async fn sleep_until(&self, at: DateTime<Utc>);

    /// Waits for `time` on the machine clock.
    async fn sleep(&self, time: Duration);
}
