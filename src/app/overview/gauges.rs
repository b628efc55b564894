//! The fleet in a few numbers, for what watches it.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::metrics::SystemMetrics;
use crate::{adapters::postgres::view, config::Settings, observe::fleet::Fleet};

/// Reads the fleet's gauges: from Postgres alone.
pub async fn fleet_gauges(pool: &PgPool, settings: &Settings, now: DateTime<Utc>) -> Result<Fleet, sqlx::Error> {
    let totals = view::totals(pool, None, now).await?;
    let pace = view::pace(pool, now).await?;
    let system = SystemMetrics::of(&totals, pace.batch_ms, pace.hour_sent);
    let fleet = view::fleet(pool, 0).await?;
    let upkeep = view::upkeep(pool).await?;
    Ok(Fleet {
        total_mailboxes: system.total_mailboxes,
        active_mailboxes: system.active_mailboxes,
        sent_today: system.total_sent_today,
        failed_today: system.total_failed_today,
        uncertain_today: system.total_uncertain_today,
        replied_today: system.total_replied_today,
        planned_now: totals.planned,
        owed_today: totals.owed,
        throughput_per_hour: system.throughput_per_hour,
        quota_completion_rate: system.quota_completion_rate,
        health: system.system_health,
        in_flight: fleet.in_flight,
        running: fleet.running,
        workers_expected: settings.worker_count,
        shards: upkeep.shards,
        duties_done: upkeep.duties_done.map_or(0, |done| done.timestamp()),
    })
}
