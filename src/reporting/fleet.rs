//! `fleet_status` reads the state of the whole fleet today: the sum of each mailbox's own today.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::PgPool;

use super::{metrics::starting, troubles::troubles};
use crate::{
    config::Settings,
    domain::partners::shortages,
    reporting::{
        capacity::shortfalls,
        snapshot::SnapshotCache,
        sql::{self, Batch, Totals},
    },
};

/// The number of batches shown.
const BATCHES_SHOWN: i64 = 5;

/// The warning while the database refuses writes.
pub const READ_ONLY: &str = "the database is read-only, so no mail can start: check that DATABASE_URL leads to the primary \
                         and that default_transaction_read_only is off; sending resumes by itself";
/// The age of the last daily maintenance from which it is late: it takes minutes and runs once a day, plus two hours.
/// The alert WarmupDutiesNotRun fires at the same age.
const MAINTENANCE_LATE: TimeDelta = TimeDelta::hours(26);

/// `FleetStatus` describes the state of the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetStatus {
    /// The fleet order: true if the fleet may send.
    pub running: bool,
    pub ordered_by: Option<String>,
    /// The number of enrolled mailboxes that are not removed.
    pub mailboxes: i64,
    /// The number of mailboxes that may send: neither switched off nor paused nor disabled.
    pub enabled: i64,
    pub off: i64,
    pub paused: i64,
    pub disabled: i64,
    /// The number of unverified mailboxes, which receive only from their owner's mailboxes.
    pub unverified: i64,
    /// The addresses of the first three unverified mailboxes.
    pub unverified_examples: Vec<String>,
    pub today: TodayStatus,
    pub in_flight: i64,
    pub shards: Vec<ShardOwner>,
    pub last_batches: Vec<Batch>,
    /// The mail hosts that do not answer in time, by name: each gets few mails at once.
    pub slow_hosts: Vec<SlowHost>,
    /// The users who have reached their daily limit today, by address.
    pub users_at_limit: Vec<String>,
    /// The problems that stop or slow the fleet. They are a database that refuses writes, workers that take no shards
    /// or are silent, paused hosts, and a daily maintenance that does not end. They also are mailboxes with too few
    /// partners, by name, and caps that cannot carry the enrolled mailboxes.
    pub warnings: Vec<String>,
}

/// `TodayStatus` sums up each mailbox's own today.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TodayStatus {
    /// The quota of the mailboxes that may send.
    pub quota: i64,
    pub sent: i64,
    pub failed: i64,
    pub uncertain: i64,
    pub replied: i64,
    /// The number of mailboxes that sent their whole quota.
    pub complete: i64,
    /// The number of mailboxes that sent less than their plan requires by now.
    pub behind: i64,
    /// The number of mailboxes that are disabled, or whose last three attempts failed.
    pub failing: i64,
    /// The number of mailboxes that were enrolled, resumed or started less than one cooldown ago.
    pub starting: i64,
}

/// A `SlowHost` is a mail host that does not answer in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlowHost {
    pub host: String,
    pub since: DateTime<Utc>,
}

/// A `ShardOwner` is a worker with the number of shards that it owned last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardOwner {
    /// The worker; `None` for shards that no worker has owned yet.
    pub worker_id: Option<String>,
    pub shards: i64,
}

/// Reads the state of the fleet at `now`, and compares its enrolment with the caps of `settings`.
pub async fn fleet_status(
    pool: &PgPool,
    census: &SnapshotCache,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<FleetStatus, sqlx::Error> {
    let totals = census.current(None, now).await?.totals;
    let fleet = sql::fleet(pool, BATCHES_SHOWN).await?;
    let mut warnings = Vec::new();
    warnings.extend(sql::is_read_only(pool).await?.then(|| READ_ONLY.to_owned()));
    if fleet.running && totals.may_send > 0 {
        warnings.extend(sql::without_worker(pool).await?.map(no_worker));
    }
    warnings.extend(troubles(pool, settings, now).await?);
    warnings.extend(late_maintenance(sql::upkeep(pool).await?.duties_done, now));
    warnings.extend(shortages(&sql::owing_members(pool).await?).iter().map(ToString::to_string));
    warnings.extend(shortfalls(pool, settings, None).await?.iter().map(ToString::to_string));
    let slow_hosts = sql::slow_hosts(pool, now).await?;
    let unverified = sql::unverified_mailboxes(pool).await?;
    let owner = |(worker_id, shards)| ShardOwner { worker_id, shards };
    Ok(FleetStatus {
        running: fleet.running,
        ordered_by: fleet.ordered_by,
        mailboxes: totals.enrolled,
        enabled: totals.may_send,
        off: totals.off,
        paused: totals.paused,
        disabled: totals.disabled,
        unverified: unverified.count,
        unverified_examples: unverified.examples,
        today: TodayStatus::of(&totals),
        in_flight: fleet.in_flight,
        shards: fleet.shards.into_iter().map(owner).collect(),
        last_batches: fleet.batches,
        slow_hosts: slow_hosts.into_iter().map(|(host, since)| SlowHost { host, since }).collect(),
        users_at_limit: sql::users_at_limit(pool, settings.user_daily_cap, now).await?,
        warnings,
    })
}

fn no_worker(last_heartbeat: Option<DateTime<Utc>>) -> String {
    let since = match last_heartbeat {
        Some(at) => format!("the last heartbeat was written at {} UTC", at.format("%Y-%m-%d %H:%M:%S")),
        None => "none has ever written a heartbeat".to_owned(),
    };
    format!("no worker runs, so nothing is sent: {since}. Start one with `warmup run`, or read in its log why it ended")
}

fn late_maintenance(done: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<String> {
    let done = done.filter(|done| now - *done > MAINTENANCE_LATE)?;
    Some(format!(
        "the daily maintenance was last finished at {} UTC: the log of the leader names the step that fails \
         (docs/RUNBOOK.md, WarmupDutiesNotRun)",
        done.format("%Y-%m-%d %H:%M")
    ))
}

impl TodayStatus {
    fn of(totals: &Totals) -> TodayStatus {
        let Totals { owed, sent, failed, uncertain, replied, filled, behind, failing, .. } = *totals;
        let starting = starting(totals).mailboxes;
        TodayStatus { quota: owed, sent, failed, uncertain, replied, complete: filled, behind, failing, starting }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daily_maintenance_that_does_not_end_is_a_warning() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(3);
        assert_eq!(late_maintenance(None, now), None);
        assert_eq!(late_maintenance(Some(now - MAINTENANCE_LATE), now), None);
        let late = late_maintenance(Some(now - MAINTENANCE_LATE - TimeDelta::seconds(1)), now).unwrap();
        assert!(late.starts_with("the daily maintenance was last finished at 1970-01-02 21:59 UTC"), "{late}");
    }
}
