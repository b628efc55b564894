//! `WorkerSettings` holds the settings of one worker, in the units that its code uses.

use std::time::Duration;

use chrono_tz::Tz;

use crate::domain::{
    id::{FleetId, WorkerId},
    maintenance::Retention,
    time::Window,
};

/// The settings of one worker. The app creates them from the configuration.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    pub worker: WorkerId,
    /// The fleet on the same database; empty if unknown.
    pub fleet: FleetId,
    /// The name of the machine, for people.
    pub host: String,
    /// True if several workers share the fleet; otherwise the worker runs alone in solo mode.
    pub distributed: bool,
    pub shards: u16,
    /// The number of lanes.
    pub max_concurrent: usize,
    pub batch_size: usize,
    /// The pause between two batches. Day clock.
    pub batch_delay: Duration,
    /// The bounds of a lane's rest after a mail. Day clock.
    pub stagger_min: Duration,
    pub stagger_max: Duration,
    /// The bounds of a mailbox's cooldown after a mail. Day clock.
    pub cooldown_min: Duration,
    pub cooldown_max: Duration,
    /// The bounds of the time between a mail and its reply. Day clock.
    pub reply_delay_min: Duration,
    pub reply_delay_max: Duration,
    /// The upper bound of the wait after a refusal of a cap. Day clock.
    pub rate_limit_backoff: Duration,
    pub quota_priority_boost: f64,
    /// The time between two ticks. Day clock.
    pub tick_interval: Duration,
    pub tick_spread: Duration,
    pub active_hours: Window,
    /// The time zone of the maintenance jobs.
    pub timezone: Tz,
    pub retention: Retention,
    /// The lease TTL. Machine clock, like all settings below.
    pub lease_ttl: Duration,
    pub heartbeat: Duration,
    /// The maximum time from the first packet of a mail to its outcome.
    pub mail_deadline: Duration,
    pub drain_timeout: Duration,
}
