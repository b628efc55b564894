//! `metrics` reads the numbers of the day: health, batches, the best mailboxes and those behind.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::{
    control::{CronStatus, LookError, Sources, control_of, last_hour},
    percent, performance,
    quota::QuotaStatus,
};
use crate::{
    domain::{
        health::{Day, Health, Starting},
        id::UserId,
    },
    reporting::{
        snapshot::StatsSnapshot,
        sql::{self, Batch, QuotaRow, Totals, WindowSums},
    },
};

const BATCHES: i64 = 20;
const RECENT: usize = 5;

/// The day in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    pub cron: CronStatus,
    pub system: SystemMetrics,
    pub quota_status: QuotaCounts,
    /// The last 20 batches, the newest first. A user who is no admin gets none, because batches serve all users.
    pub batch_history: Vec<BatchStatus>,
    pub performance_summary: Summary,
}

/// Sums over each mailbox's own today.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemMetrics {
    /// Mailboxes that are switched on.
    pub total_mailboxes: i64,
    /// Mailboxes that sent today.
    pub active_mailboxes: i64,
    pub total_sent_today: i64,
    pub total_replied_today: i64,
    pub total_failed_today: i64,
    pub total_uncertain_today: i64,
    /// Refused or uncertain mails in percent of all attempts.
    pub failure_rate: f64,
    /// Average duration of the last hour's batches, milliseconds.
    pub avg_batch_duration: i64,
    /// Mails sent in the last 60 minutes; an estimate for a user who is no admin.
    pub throughput_per_hour: i64,
    /// Mailboxes that sent their whole quota, in percent of those with a quota today.
    pub quota_completion_rate: f64,
    pub system_health: Health,
    pub health_reason: String,
}

/// The number of mailboxes by quota status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaCounts {
    pub complete: i64,
    pub on_track: i64,
    pub behind: i64,
    pub failing: i64,
}

/// Mails that were reserved together.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchStatus {
    pub id: i64,
    pub worker_id: String,
    pub started_at: DateTime<Utc>,
    /// Absent while the batch runs.
    pub duration_ms: Option<i64>,
    pub processed: i16,
    pub sent: i16,
    /// Refused or uncertain mails.
    pub failed: i16,
    /// Sent mails in percent of those that ended.
    pub success_rate: f64,
}

/// The best mailboxes, those behind, and the last batches.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub top_performers: Vec<Performer>,
    /// The furthest behind first.
    pub behind_quota: Vec<QuotaStatus>,
    pub recent_batches: Vec<BatchStatus>,
}

/// One of the best mailboxes.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Performer {
    pub mailbox_id: i64,
    pub email: String,
    pub sent_today: i32,
    pub quota_fill_rate: f64,
    pub current_streak: i64,
}

/// Reads the metrics of the mailboxes of `user`, or of all.
pub async fn metrics(sources: Sources<'_>, user: Option<UserId>, now: DateTime<Utc>) -> Result<Metrics, LookError> {
    let pool = sources.pool;
    let tally = sources.census.current(user, now).await?;
    let (cron, _) = control_of(sources, user, &tally).await?;
    let listed = sql::quotas_of(pool, &[&tally.totals.furthest[..], &tally.totals.best].concat()).await?;
    let among = |ids: &[i64]| ids.iter().filter_map(|id| listed.iter().find(|row| row.id == *id)).cloned().collect();
    let (furthest, best): (Vec<QuotaRow>, Vec<QuotaRow>) = (among(&tally.totals.furthest), among(&tally.totals.best));
    let (batches, batch_ms, throughput) = match user {
        None => (sql::batches(pool, BATCHES).await?, tally.pace.batch_ms, tally.pace.hour_sent),
        Some(_) => (Vec::new(), 0, last_hour(&tally)),
    };
    let StatsSnapshot { totals, .. } = tally;
    let batch_history: Vec<BatchStatus> = batches.iter().map(BatchStatus::of).collect();
    let performance_summary = Summary {
        top_performers: performers(pool, &best).await?,
        behind_quota: furthest.iter().map(|row| QuotaStatus::of(row, now)).collect(),
        recent_batches: batch_history.iter().take(RECENT).cloned().collect(),
    };
    let Totals { complete, on_track, behind, failing, .. } = totals;
    Ok(Metrics {
        cron,
        system: SystemMetrics::of(&totals, batch_ms, throughput),
        quota_status: QuotaCounts { complete, on_track, behind, failing },
        batch_history,
        performance_summary,
    })
}

async fn performers(pool: &PgPool, best: &[QuotaRow]) -> Result<Vec<Performer>, sqlx::Error> {
    let performances = performance::of_rows(pool, best).await?;
    let performer = |(row, performance): (&QuotaRow, performance::Performance)| Performer {
        mailbox_id: row.id,
        sent_today: row.sent,
        email: performance.email,
        quota_fill_rate: performance.quota_fill_rate,
        current_streak: performance.current_streak,
    };
    Ok(best.iter().zip(performances).map(performer).collect())
}

/// Sums up the mailboxes that are starting.
pub(super) fn starting(totals: &Totals) -> Starting {
    let sum = |count: fn(&WindowSums) -> i64| totals.windows.iter().map(count).sum();
    Starting {
        mailboxes: sum(|window| window.starting),
        sent: sum(|window| window.starting_sent),
        planned: sum(|window| window.starting_planned),
    }
}

impl SystemMetrics {
    pub(super) fn of(totals: &Totals, batch_ms: i64, throughput: i64) -> SystemMetrics {
        let failed = totals.failed + totals.uncertain;
        let attempts = totals.sent + totals.replied + failed;
        let day = Day { sent: totals.sent, planned: totals.planned, attempts, failed, starting: starting(totals) };
        let (system_health, health_reason) = day.health();
        SystemMetrics {
            total_mailboxes: totals.mailboxes,
            active_mailboxes: totals.active,
            total_sent_today: totals.sent,
            total_replied_today: totals.replied,
            total_failed_today: totals.failed,
            total_uncertain_today: totals.uncertain,
            failure_rate: percent(failed, attempts),
            avg_batch_duration: batch_ms,
            throughput_per_hour: throughput,
            quota_completion_rate: percent(totals.filled, totals.owing),
            system_health,
            health_reason,
        }
    }
}

impl BatchStatus {
    fn of(batch: &Batch) -> BatchStatus {
        let failed = batch.failed + batch.uncertain;
        BatchStatus {
            id: batch.id,
            worker_id: batch.worker_id.clone(),
            started_at: batch.started_at,
            duration_ms: batch.finished_at.map(|finished| (finished - batch.started_at).num_milliseconds()),
            processed: batch.processed,
            sent: batch.sent,
            failed,
            success_rate: percent(batch.sent.into(), (batch.sent + failed).into()),
        }
    }
}
