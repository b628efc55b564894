//! `PostgresDuties` stores the progress of the daily maintenance, and deletes old rows in steps that block no
//! statement.

mod partitions;
mod step;

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use sqlx::{PgPool, Row};

use super::{classify::classify, session::Session};
use crate::{
    domain::{
        id::WorkerId,
        maintenance::{MaintenanceJob, PruneTarget},
    },
    ports::{MaintenanceStore, PortError, PruneReport},
};

/// The number of rows that one statement deletes: far below its time-out, also on a slow disk.
const STEP: i64 = 10_000;

/// `PostgresDuties` records the daily maintenance and prunes old rows.
#[derive(Clone, Debug)]
pub struct PostgresDuties {
    pool: PgPool,
    session: Session,
    /// The session of the read before each renewal of the leadership.
    brief: Session,
}

impl PostgresDuties {
    /// Creates a store that works through `pool`, and through a connection of its own for the log's partitions.
    pub fn new(pool: PgPool) -> PostgresDuties {
        PostgresDuties { session: Session::new(pool.clone()), brief: Session::brief(pool.clone()), pool }
    }
}

#[async_trait]
impl MaintenanceStore for PostgresDuties {
    async fn finished(&self, day: NaiveDate) -> Result<Option<NaiveDate>, PortError> {
        const READ: &str = "SELECT max(day) FROM cleanups WHERE finished_at IS NOT NULL AND day <= $1";
        self.brief.row(|| sqlx::query(READ).bind(day)).await?.try_get(0).map_err(classify)
    }

    async fn begin(
        &self,
        worker: &WorkerId,
        day: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<Option<BTreeSet<MaintenanceJob>>, PortError> {
        let begin = || sqlx::query(BEGIN).bind(day).bind(worker.0.clone()).bind(now);
        let Some(row) = self.session.rows(begin).await?.pop() else { return Ok(None) };
        let done: Value = row.try_get(0).map_err(classify)?;
        Ok(Some(MaintenanceJob::ALL.into_iter().filter(|duty| done.get(duty.as_str()).is_some()).collect()))
    }

    async fn prune(&self, kept: PruneTarget, before: NaiveDate) -> Result<PruneReport, PortError> {
        let Some(statement) = statement(kept) else { return partitions::retire(&self.pool, before).await };
        let gone = step::delete(&self.pool, statement, before, STEP).await?;
        Ok(PruneReport { gone: gone.unsigned_abs(), more: gone >= STEP })
    }

    async fn note(&self, day: NaiveDate, duty: MaintenanceJob, gone: u64) -> Result<(), PortError> {
        const NOTE: &str = "
            UPDATE cleanups SET done = done || jsonb_build_object($2::text, $3::bigint)
            WHERE day = $1 AND finished_at IS NULL AND NOT done ? $2";
        let gone = i64::try_from(gone).unwrap_or(i64::MAX);
        self.session.rows(|| sqlx::query(NOTE).bind(day).bind(duty.as_str()).bind(gone)).await.map(drop)
    }

    async fn finish(&self, day: NaiveDate, now: DateTime<Utc>) -> Result<bool, PortError> {
        const FINISH: &str = "
            UPDATE cleanups SET finished_at = $2, covered_by = nullif($1, day)
            WHERE day <= $1 AND finished_at IS NULL RETURNING day = $1";
        let rows = self.session.rows(|| sqlx::query(FINISH).bind(day).bind(now)).await?;
        let ours: Result<Vec<bool>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        Ok(ours.map_err(classify)?.contains(&true))
    }
}

/// The statement that begins a date: $1 the date, $2 worker, $3 now. Returns no row if the date is finished.
const BEGIN: &str = "
    WITH missed AS (
        INSERT INTO cleanups (day, covered_by, worker_id, started_at)
        SELECT day::date, $1, $2, $3
        FROM generate_series((SELECT max(day) FROM cleanups WHERE day < $1) + 1, $1 - 1, interval '1 day') AS day
        ON CONFLICT DO NOTHING
    )
    INSERT INTO cleanups (day, worker_id, started_at) VALUES ($1, $2, $3)
    ON CONFLICT (day) DO UPDATE SET worker_id = EXCLUDED.worker_id, attempts = cleanups.attempts + 1
    WHERE cleanups.finished_at IS NULL
    RETURNING done";

/// Returns the statement that deletes at most $2 rows older than $1, and returns their number. Locked rows stay until
/// the next time. Dates of instants are in UTC.
///
/// Each statement takes the oldest rows first, in the order of an index, so it reads only the rows that it deletes
/// (`step.rs`). `pauses`, `partner_refusals`, `owner_pauses` and `cleanups` are small and need no index.
fn statement(kept: PruneTarget) -> Option<&'static str> {
    Some(match kept {
        PruneTarget::Logs => return None,
        // A day that is not closed, or that has a mail in flight, is still in use.
        PruneTarget::MailboxDays => {
            "WITH old AS (
                SELECT d.ctid FROM mailbox_days d
                WHERE d.day < $1 AND d.closed
                  AND NOT EXISTS (SELECT FROM in_flight f WHERE f.mailbox_id = d.mailbox_id AND f.day = d.day)
                ORDER BY d.day, d.mailbox_id LIMIT $2 FOR UPDATE OF d SKIP LOCKED),
             gone AS (DELETE FROM mailbox_days WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING 1)
             SELECT count(*) FROM gone"
        }
        PruneTarget::Events => {
            "WITH old AS (SELECT id FROM events WHERE at < $1::timestamp AT TIME ZONE 'UTC'
                          ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED),
             gone AS (DELETE FROM events WHERE id = ANY (ARRAY(SELECT id FROM old)) RETURNING 1)
             SELECT count(*) FROM gone"
        }
        PruneTarget::Replies => {
            "WITH old AS (SELECT id FROM scheduled_replies
                          WHERE due_at < $1::timestamp AT TIME ZONE 'UTC' AND state NOT IN ('waiting', 'claimed')
                          ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED),
             gone AS (DELETE FROM scheduled_replies WHERE id = ANY (ARRAY(SELECT id FROM old)) RETURNING 1)
             SELECT count(*) FROM gone"
        }
        PruneTarget::Batches => {
            "WITH old AS (SELECT id FROM batches WHERE started_at < $1::timestamp AT TIME ZONE 'UTC'
                          ORDER BY started_at LIMIT $2 FOR UPDATE SKIP LOCKED),
             gone AS (DELETE FROM batches WHERE id = ANY (ARRAY(SELECT id FROM old)) RETURNING 1)
             SELECT count(*) FROM gone"
        }
        // The members go first: a roster without its head would be made again.
        PruneTarget::Rosters => {
            "WITH old AS (SELECT ctid FROM roster WHERE day < $1 ORDER BY day, position LIMIT $2 FOR UPDATE SKIP LOCKED),
             members AS (DELETE FROM roster WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING 1),
             heads AS (DELETE FROM rosters WHERE day < $1 AND (SELECT count(*) FROM old) < $2 RETURNING 1)
             SELECT (SELECT count(*) FROM members) + (SELECT count(*) FROM heads)"
        }
        PruneTarget::UserDays => {
            "WITH old AS (SELECT ctid FROM user_days WHERE day < $1 ORDER BY day, user_id LIMIT $2
                          FOR UPDATE SKIP LOCKED),
             gone AS (DELETE FROM user_days WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING 1)
             SELECT count(*) FROM gone"
        }
        // Also deletes the counts of received mails, which are useless after their day.
        PruneTarget::Pairs => {
            "WITH old AS (SELECT ctid FROM pairs WHERE day < $1
                          ORDER BY day, mailbox_id, partner_id, round LIMIT $2 FOR UPDATE SKIP LOCKED),
             gone AS (DELETE FROM pairs WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING 1),
             past AS (SELECT ctid FROM received_days WHERE day < $1 ORDER BY day, mailbox_id LIMIT $2 FOR UPDATE SKIP LOCKED),
             seats AS (DELETE FROM received_days WHERE ctid = ANY (ARRAY(SELECT ctid FROM past)) RETURNING 1)
             SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM seats)"
        }
        PruneTarget::Pauses => {
            "WITH old AS (SELECT ctid FROM pauses WHERE until < $1::timestamp AT TIME ZONE 'UTC'
                          LIMIT $2 FOR UPDATE SKIP LOCKED),
             gone AS (DELETE FROM pauses WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING 1),
             said AS (SELECT ctid FROM partner_refusals WHERE until < $1::timestamp AT TIME ZONE 'UTC'
                      LIMIT $2 FOR UPDATE SKIP LOCKED),
             unsaid AS (DELETE FROM partner_refusals WHERE ctid = ANY (ARRAY(SELECT ctid FROM said)) RETURNING 1),
             over AS (SELECT ctid FROM owner_pauses WHERE until < $1::timestamp AT TIME ZONE 'UTC'
                      LIMIT $2 FOR UPDATE SKIP LOCKED),
             freed AS (DELETE FROM owner_pauses WHERE ctid = ANY (ARRAY(SELECT ctid FROM over)) RETURNING 1)
             SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM unsaid) + (SELECT count(*) FROM freed)"
        }
        PruneTarget::Cleanups => {
            "WITH old AS (SELECT day FROM cleanups WHERE day < $1 AND finished_at IS NOT NULL
                          LIMIT $2 FOR UPDATE SKIP LOCKED),
             gone AS (DELETE FROM cleanups WHERE day = ANY (ARRAY(SELECT day FROM old)) RETURNING 1)
             SELECT count(*) FROM gone"
        }
    })
}
