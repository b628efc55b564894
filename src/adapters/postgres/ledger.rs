//! `PostgresLedger` implements the ledger with one statement per operation. The head of each SQL file is its contract.

mod reserve;
mod settle;

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::{PgPool, Row, postgres::PgRow};

use super::{classify::classify, session::Session};
use crate::{
    domain::{
        daily_room::UserDay,
        id::{Epoch, RunId, ShardId, UserId, WorkerId},
        ledger_mark::{LedgerState, SettledMail},
    },
    ports::{
        Heartbeat, Ledger, LedgerPulse, PortError, Reservation, ReserveBatch, Settlement, StateChange, SweepReport,
        SweepRequest,
    },
};

/// The number of days ahead for which `logs` has partitions, so that a fleet without a leader still writes.
const PARTITIONS_AHEAD: u64 = 14;

/// The number of days behind: a mail may settle after its day ended, also in the westernmost zone.
const PARTITIONS_BEHIND: u64 = 3;

/// `PostgresLedger` records every mail.
#[derive(Clone, Debug)]
pub struct PostgresLedger {
    session: Session,
    /// The session of statements that heartbeat and loop wait for. Settling uses the patient session: a repeat would
    /// cost more than the wait.
    brief: Session,
    user_daily_cap: f64,
}

impl PostgresLedger {
    /// Creates a ledger that writes through `pool`; a user's daily limit may be exceeded by the factor
    /// `user_daily_cap`.
    pub fn new(pool: PgPool, user_daily_cap: f64) -> PostgresLedger {
        PostgresLedger { session: Session::new(pool.clone()), brief: Session::brief(pool), user_daily_cap }
    }
}

#[async_trait]
impl Ledger for PostgresLedger {
    async fn prepare(&self, now: DateTime<Utc>) -> Result<(), PortError> {
        let (first, last) =
            (now.date_naive() - Days::new(PARTITIONS_BEHIND), now.date_naive() + Days::new(PARTITIONS_AHEAD));
        self.session.row(|| sqlx::query("SELECT ensure_log_partitions($1, $2)").bind(first).bind(last)).await?;
        Ok(())
    }

    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<LedgerPulse, PortError> {
        let Heartbeat { worker, run, shards, state, refused_since, clock_off, change, grants_expired, now } = heartbeat;
        let asked: Vec<i32> = shards.iter().map(|shard| shard.0).collect();
        let build = || {
            sqlx::query(include_str!("sql/heartbeat.sql"))
                .bind(worker.0.clone())
                .bind(run.0)
                .bind(asked.clone())
                .bind(*refused_since)
                .bind(*now)
                .bind(clock_off.clone())
                .bind(*state)
                .bind(change.map(StateChange::kind))
                .bind(change.map(StateChange::reason))
                .bind(i64::try_from(*grants_expired).unwrap_or(i64::MAX))
        };
        let row = self.brief.row(build).await?;
        let epochs: Vec<i64> = row.try_get("epochs").map_err(classify)?;
        all_known(epochs.len(), shards)?;
        let epochs = epochs.into_iter().map(Epoch).collect();
        Ok(LedgerPulse { epochs, now: row.try_get("now").map_err(classify)? })
    }

    async fn epochs(&self, shards: &[ShardId]) -> Result<Vec<Epoch>, PortError> {
        const READ: &str = "SELECT s.epoch FROM unnest($1::int[]) WITH ORDINALITY AS asked (shard, place)
            JOIN shards s ON s.shard = asked.shard ORDER BY asked.place";
        let asked: Vec<i32> = shards.iter().map(|shard| shard.0).collect();
        let rows = self.brief.rows(|| sqlx::query(READ).bind(asked.clone())).await?;
        all_known(rows.len(), shards)?;
        rows.iter().map(|row| row.try_get(0).map(Epoch).map_err(classify)).collect()
    }

    async fn shards_of(&self, worker: &WorkerId) -> Result<Vec<ShardId>, PortError> {
        const READ: &str = "SELECT shard FROM shards WHERE worker_id = $1 ORDER BY shard";
        let rows = self.brief.rows(|| sqlx::query(READ).bind(worker.0.clone())).await?;
        rows.iter().map(|row| row.try_get(0).map(ShardId).map_err(classify)).collect()
    }

    async fn raise(&self, worker: &WorkerId, read: &[(ShardId, Epoch)]) -> Result<Vec<Option<Epoch>>, PortError> {
        let (shards, epochs): (Vec<i32>, Vec<i64>) = read.iter().map(|(shard, epoch)| (shard.0, epoch.0)).unzip();
        let build = || {
            sqlx::query(include_str!("sql/raise.sql")).bind(worker.0.clone()).bind(shards.clone()).bind(epochs.clone())
        };
        let rows = self.brief.rows(build).await?;
        rows.iter().map(|row| Ok(row.try_get::<Option<i64>, _>(0).map_err(classify)?.map(Epoch))).collect()
    }

    async fn daily_room(&self, users: &[UserId], days: &[NaiveDate]) -> Result<Vec<UserDay>, PortError> {
        let users: Vec<i64> = users.iter().map(|user| user.0).collect();
        // Planned for the actual values: there may be one user or many.
        let build = || {
            sqlx::query(include_str!("sql/daily_room.sql"))
                .persistent(false)
                .bind(users.clone())
                .bind(days.to_vec())
                .bind(self.user_daily_cap)
        };
        let rows = self.session.rows(build).await?;
        rows.iter().map(|row| user_day(row).map_err(classify)).collect()
    }

    async fn note_slow_hosts(&self, worker: &WorkerId, hosts: &[String], now: DateTime<Utc>) -> Result<(), PortError> {
        const NOTE: &str = include_str!("sql/note_slow_hosts.sql");
        self.session.rows(|| sqlx::query(NOTE).bind(worker.0.clone()).bind(hosts.to_vec()).bind(now)).await.map(drop)
    }

    async fn state(&self, settled: Option<&SettledMail>) -> Result<LedgerState, PortError> {
        let build = || {
            sqlx::query(include_str!("sql/ledger_state.sql"))
                .bind(settled.map(|mail| mail.day))
                .bind(settled.map(|mail| mail.log_id))
                .bind(settled.map(|mail| mail.message_id.clone()))
        };
        let row = self.brief.row(build).await?;
        let number = |column: &str| row.try_get::<i64, _>(column).map_err(classify);
        Ok(LedgerState {
            fence: number("fence")?,
            flight: number("flight")?,
            shards: number("shards")?,
            epochs: number("epochs")?,
            has_settled: row.try_get("has_settled").map_err(classify)?,
        })
    }

    async fn reserve(&self, batch: &ReserveBatch) -> Result<Vec<Reservation>, PortError> {
        let rows = self.brief.rows(|| reserve::statement(batch, self.user_daily_cap)).await?;
        let lost = reserve::lost_places(batch, &rows).map_err(classify)?;
        if !lost.is_empty()
            && let Err(error) = self.brief.rows(|| reserve::return_places(&lost)).await
        {
            tracing::warn!(%error, users = lost.len(), "a few places of users' daily limits stay taken until tomorrow");
        }
        reserve::reservations(batch, &rows)
    }

    async fn release(&self, run: RunId, message_ids: &[String], now: DateTime<Utc>) -> Result<u64, PortError> {
        let row = self.session.row(|| settle::release(run, message_ids, now)).await?;
        settle::count(&row, "released")
    }

    async fn settle(&self, worker: &WorkerId, results: &[Settlement]) -> Result<u64, PortError> {
        // Only a database that was set back assigns an id twice. One statement distinguishes its results by their ids.
        if let Some((last, others)) = results.split_last().filter(|_| settle::repeats_an_id(results)) {
            let changed = self.settle(worker, others).await?;
            return Ok(changed + self.settle(worker, std::slice::from_ref(last)).await?);
        }
        let row = self.session.row(|| settle::settle(results)).await?;
        settle::warn(&row)?;
        let changed = settle::count(&row, "changed")?;
        if changed >= results.len() as u64 {
            return Ok(changed);
        }
        // A missing flight was swept, perhaps while this statement waited for its lock: only a younger snapshot shows
        // its row. Both statements leave earlier settlements alone.
        let row = self.session.row(|| settle::settle_late(results)).await?;
        settle::warn(&row)?;
        Ok(changed + settle::count(&row, "changed")?)
    }

    async fn log_lost(&self, worker: &WorkerId, results: &[Settlement], now: DateTime<Utc>) -> Result<u64, PortError> {
        let row = self.session.row(|| settle::log_lost(worker, results, now)).await?;
        settle::count(&row, "written")
    }

    async fn sweep(&self, sweep: &SweepRequest) -> Result<SweepReport, PortError> {
        let row = self.session.row(|| settle::sweep(sweep)).await?;
        Ok(SweepReport { uncertain: settle::count(&row, "uncertain")?, released: settle::count(&row, "released")? })
    }
}

/// Returns an error if the database knows only `known` of `shards`.
fn all_known(known: usize, shards: &[ShardId]) -> Result<(), PortError> {
    if known == shards.len() {
        return Ok(());
    }
    Err(PortError::Permanent(format!(
        "the database knows {known} of {} shards: run `warmup migrate` with this WARMUP_SHARDS",
        shards.len()
    )))
}

fn user_day(row: &PgRow) -> Result<UserDay, sqlx::Error> {
    let left: i32 = row.try_get(2)?;
    Ok(UserDay { user: UserId(row.try_get(0)?), day: row.try_get(1)?, left: left.unsigned_abs() })
}
