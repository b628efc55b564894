//! `fleet_gauges` reads the fleet's metrics for monitoring.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::metrics::{SystemMetrics, starting};
use crate::{
    config::Settings,
    observe::fleet::Fleet,
    reporting::{snapshot::SnapshotCache, sql},
};

/// Reads the fleet's gauges from Postgres alone. `caps_short` is the number of caps that cannot carry the enrolled
/// mailboxes.
pub async fn fleet_gauges(
    pool: &PgPool,
    census: &SnapshotCache,
    settings: &Settings,
    caps_short: usize,
    now: DateTime<Utc>,
) -> Result<Fleet, sqlx::Error> {
    let tally = census.current(None, now).await?;
    let system = SystemMetrics::of(&tally.totals, tally.pace.batch_ms, tally.pace.hour_sent);
    let (running, in_flight) = sql::order(pool, None).await?;
    let upkeep = sql::upkeep(pool).await?;
    let hosts_paused = sql::paused_hosts(pool, now).await?;
    Ok(Fleet {
        total_mailboxes: system.total_mailboxes,
        active_mailboxes: system.active_mailboxes,
        sent_today: system.total_sent_today,
        failed_today: system.total_failed_today,
        uncertain_today: system.total_uncertain_today,
        replied_today: system.total_replied_today,
        planned_now: tally.totals.planned,
        owed_today: tally.totals.windows.iter().map(|window| window.quota).sum(),
        throughput_per_hour: system.throughput_per_hour,
        quota_completion_rate: system.quota_completion_rate,
        health: system.system_health,
        behind: tally.totals.behind,
        starting: starting(&tally.totals).mailboxes,
        failing: tally.totals.failing,
        alarmed: tally.totals.alarmed,
        paused: tally.totals.paused,
        disabled: tally.totals.disabled,
        in_flight,
        hosts_paused,
        hosts_suspected: sql::suspected_hosts(pool, now).await?,
        unverified: sql::unverified_mailboxes(pool).await?.count,
        caps_short: caps_short as i64,
        running,
        set_back: sql::is_set_back(pool).await?,
        workers_expected: settings.worker_count,
        shards: upkeep.shards,
        duties_done: upkeep.duties_done.map_or(0, |done| done.timestamp()),
    })
}
