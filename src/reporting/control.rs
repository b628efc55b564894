//! This module reads the fleet order, the workers and the use of the caps, from Postgres and from the workers' statuses
//! in Redis.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde::Serialize;
use sqlx::PgPool;
use thiserror::Error;
use utoipa::ToSchema;

use crate::{
    adapters::redis::RedisObserver,
    config::Settings,
    domain::{
        id::{RunId, UserId},
        lease::MachineTime,
    },
    ports::{LeaseKey, Member, MemberStatus, PortError},
    reporting::{
        capacity::CapacityCache,
        snapshot::{SnapshotCache, StatsSnapshot},
        sql::{self, Throughput},
    },
};

/// A `LookError` states why the fleet's state is unknown.
#[derive(Debug, Error)]
pub enum LookError {
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
    #[error("Redis, by which the workers are known, does not answer: {0}")]
    Redis(#[from] PortError),
}

/// `Sources` lists everything that the fleet's state is read from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    pub pool: &'a PgPool,
    pub census: &'a SnapshotCache,
    pub lookout: &'a RedisObserver,
    pub settings: &'a Settings,
    pub capacity: &'a CapacityCache,
    /// The time of the machine clock.
    pub machine: MachineTime,
    /// The name of this process's worker.
    pub worker: &'a str,
}

/// The fleet with its workers.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControlStatus {
    #[serde(flatten)]
    pub cron: CronStatus,
    /// The workers by id. A user who is no admin gets none, because workers serve all users.
    pub workers: Vec<WorkerStatus>,
    /// Settings that defeat their own purpose, and caps that cannot carry the enrolled mailboxes, each with the line to
    /// set. A user who is no admin gets only the warnings of the user's own caps.
    pub warnings: Vec<String>,
}

/// The fleet.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CronStatus {
    /// The fleet order: true if the fleet may send.
    pub running: bool,
    /// The last tick of any worker.
    pub last_run_time: Option<DateTime<Utc>>,
    /// The failed ticks in a row, of the worker with the most.
    pub consecutive_failures: u32,
    pub check_interval_minutes: u64,
    pub queue_status: QueueStatus,
    /// The worker of the pod that answers.
    pub worker_id: String,
    /// The worker that runs the daily maintenance; none between two leaders.
    pub leader: Option<String>,
}

/// The mails to send, and the use of the caps.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// Mailboxes that owe a mail until the next tick. For a user who is no admin: the user's mailboxes behind their
    /// plan.
    pub queue_size: i64,
    /// Mails and replies in flight.
    pub active_sends: i64,
    /// True if the fleet sends: the fleet order allows it, and a worker runs.
    pub is_running: bool,
    pub rate_limit: RateLimit,
}

/// The caps of the fleet; for a user who is no admin, the user's own caps with an estimated use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RateLimit {
    pub hourly: Use,
    pub minute: Use,
}

/// The use of a cap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Use {
    pub used: i64,
    pub limit: u32,
}

/// The state that a worker reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkerStatus {
    pub id: String,
    pub host: String,
    pub version: String,
    pub shards: u16,
    pub lanes: u32,
    pub queue_size: u32,
    pub active_sends: u32,
    pub last_tick: Option<DateTime<Utc>>,
    pub consecutive_failures: u32,
    /// `starting`, `running`, `benched`, `clock-off`, `replaced` or `draining`.
    pub state: String,
}

/// Reads the fleet as `user` may see it, or all of it.
pub async fn control_status(
    sources: Sources<'_>,
    user: Option<UserId>,
    now: DateTime<Utc>,
) -> Result<ControlStatus, LookError> {
    let (cron, workers) = control_of(sources, user, &sources.census.current(user, now).await?).await?;
    let Sources { pool, settings, capacity, machine, .. } = sources;
    Ok(ControlStatus { cron, workers, warnings: capacity.warnings(pool, settings, user, machine).await? })
}

/// Reads fleet and workers for an existing snapshot.
pub(super) async fn control_of(
    sources: Sources<'_>,
    user: Option<UserId>,
    tally: &StatsSnapshot,
) -> Result<(CronStatus, Vec<WorkerStatus>), LookError> {
    let members = sources.lookout.members().await?;
    let leader = sources.lookout.holder(LeaseKey::Leader).await?;
    let (running, active_sends) = sql::order(sources.pool, user).await?;
    let (queue_size, rate_limit) = match user {
        None => (queued(&members), of_fleet(tally.pace, sources.settings)),
        Some(_) => (tally.totals.behind, of_user(tally, active_sends, sources.settings)),
    };
    let is_running = running && members.iter().any(|member| member.status.state == "running");
    let queue_status = QueueStatus { queue_size, active_sends, is_running, rate_limit };
    let mut workers: Vec<WorkerStatus> = members.iter().map(|member| WorkerStatus::of(&member.status)).collect();
    workers.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    let cron = CronStatus {
        running,
        last_run_time: workers.iter().filter_map(|worker| worker.last_tick).max(),
        consecutive_failures: workers.iter().map(|worker| worker.consecutive_failures).max().unwrap_or_default(),
        check_interval_minutes: sources.settings.cron_interval.as_secs() / 60,
        queue_status,
        worker_id: sources.worker.to_owned(),
        leader: leader.and_then(|run| named(&members, run)),
    };
    Ok((cron, if user.is_none() { workers } else { Vec::new() }))
}

fn queued(members: &[Member]) -> i64 {
    members.iter().map(|member| i64::from(member.status.queue_size)).sum()
}

fn named(members: &[Member], run: RunId) -> Option<String> {
    members.iter().find(|member| member.run == run).map(|member| member.status.id.0.clone())
}

fn of_fleet(pace: Throughput, settings: &Settings) -> RateLimit {
    RateLimit {
        hourly: Use { used: pace.hour_used, limit: settings.global_hourly_limit },
        minute: Use { used: pace.minute_used, limit: settings.global_minute_limit },
    }
}

/// Estimates a user's use of the caps from the mailboxes' days, because batches belong to all users. A mailbox has a
/// cooldown of minutes, so it sent at most one mail in the last minute.
fn of_user(tally: &StatsSnapshot, active_sends: i64, settings: &Settings) -> RateLimit {
    RateLimit {
        hourly: Use { used: last_hour(tally) + active_sends, limit: settings.user_hourly_limit },
        minute: Use { used: tally.totals.minute_sent + active_sends, limit: settings.user_minute_limit },
    }
}

/// Estimates the mails of the last 60 minutes: those of this hour, and the remaining fraction of the previous hour.
pub(super) fn last_hour(tally: &StatsSnapshot) -> i64 {
    let StatsSnapshot { as_of, totals, .. } = tally;
    let into = TimeDelta::minutes(as_of.minute().into()) + TimeDelta::seconds(as_of.second().into());
    let left = 1.0 - into.num_seconds() as f64 / 3600.0;
    totals.hour_sent + (totals.hour_before as f64 * left).round() as i64
}

impl WorkerStatus {
    fn of(status: &MemberStatus) -> WorkerStatus {
        WorkerStatus {
            id: status.id.0.clone(),
            host: status.host.clone(),
            version: status.version.clone(),
            shards: status.shards,
            lanes: status.lanes,
            queue_size: status.queue_size,
            active_sends: status.active_sends,
            last_tick: status.last_tick,
            consecutive_failures: status.consecutive_failures,
            state: status.state.clone(),
        }
    }
}
