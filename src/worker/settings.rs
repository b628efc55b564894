//! The settings that the loop reads, in the units that it thinks in.

use std::time::Duration;

use chrono_tz::Tz;

use crate::domain::{
    id::{FleetId, WorkerId},
    maintenance::Retention,
    time::Window,
};

/// One worker's settings. The app makes them from the configuration.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    pub worker: WorkerId,
    /// Who works on the same database; nothing when it is not known.
    pub fleet: FleetId,
    /// The machine's name, for people.
    pub host: String,
    /// Several workers share the fleet; otherwise one alone, by the `solo` lease.
    pub distributed: bool,
    pub shards: u16,
    /// Lanes.
    pub max_concurrent: usize,
    pub batch_size: usize,
    /// Day clock.
    pub batch_delay: Duration,
    /// The rest of a lane after a mail; day clock.
    pub stagger_min: Duration,
    pub stagger_max: Duration,
    /// The cooldown of a mailbox after a mail; day clock.
    pub cooldown_min: Duration,
    pub cooldown_max: Duration,
    /// Between a mail and its answer; day clock.
    pub reply_delay_min: Duration,
    pub reply_delay_max: Duration,
    /// Upper bound of the wait after a cap refused; day clock.
    pub rate_limit_backoff: Duration,
    pub quota_priority_boost: f64,
    /// Day clock.
    pub tick_interval: Duration,
    pub tick_spread: Duration,
    pub active_hours: Window,
    /// Of the daily duties.
    pub timezone: Tz,
    pub retention: Retention,
    /// Machine clock, like all that follow.
    pub lease_ttl: Duration,
    pub heartbeat: Duration,
    /// From the first packet of a mail to its verdict, at most.
    pub mail_deadline: Duration,
    pub drain_timeout: Duration,
}
