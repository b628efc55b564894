//! When everybody is counted again: what is told of many mailboxes is told as it was counted last (`src/reporting/sql/snapshot.rs`), and
//! whoever asks for it when that is too long ago has them counted.
//!
//! ```text
//!   counted a moment ago             told
//!   a small fleet                    counted while one waits: milliseconds
//!   a large one, a while ago         told, and counted beside
//!   a large one, long ago or never   counted while one waits
//! ```
//!
//! So of a small fleet everything is told as it is, of a large one as it was ten times as long ago as a census takes: some
//! seconds. What was counted lies in Postgres, where every pod reads it; they take turns. Nobody need be there to count for
//! others: with no worker and no leader the answers are as good.
//!
//! A pod that answers has everybody counted also when nobody asks (`keep`), so that whoever asks after a pause waits for no
//! census, and the history of who fell behind has no gaps.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::address_cache::AddressCache;
use crate::{
    domain::{address_index::AddressIndex, id::UserId},
    ports::Clock,
    reporting::sql::{self, Age, IfBusy, SnapshotRow, SnapshotVersion, Throughput, Totals},
};

/// Mailboxes that are counted within some milliseconds.
const SMALL: i64 = 2_000;
/// However many ask, a small fleet is counted four times a second.
const SMALL_HOLDS: Duration = Duration::from_millis(250);
/// Counting takes a tenth of one connection's time at most; what is told is never older than the longest of these, and than
/// one census more.
const HOLDS_TIMES: i64 = 10;
const LARGE_HOLDS_MS: (i64, i64) = (1_000, 10_000);
/// Nobody was counted for so long: the first who asks then is not told what was.
const LONG_AGO: Duration = Duration::from_secs(20);

/// A pod looks so often whether it is time; well before what was counted is too long ago to be told.
const KEPT_EVERY: Duration = Duration::from_secs(10);

/// What was counted, of one user or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsSnapshot {
    /// The instant of the day clock at which all of it was so.
    pub as_of: DateTime<Utc>,
    edition: SnapshotVersion,
    /// Mailboxes of all users.
    enrolled: i64,
    pub totals: Totals,
    /// Of the whole fleet.
    pub pace: Throughput,
}

/// Has everybody counted when that is due.
pub struct SnapshotCache {
    pool: PgPool,
    /// `WARMUP_MAILBOX_COOLDOWN_MAX_MS`: as long as that a mailbox that was enrolled, resumed or started is *starting*.
    cooldown: TimeDelta,
    directories: AddressCache,
    /// One is enough, also when fifty requests find that it is time.
    taking: Arc<Mutex<()>>,
    waits: bool,
}

/// What to do about the last census.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SnapshotAction {
    Serve,
    ServeAndRefresh,
    Refresh,
}

impl SnapshotCache {
    /// For those who ask often, and are answered at once.
    pub fn for_requests(pool: PgPool, cooldown: Duration) -> SnapshotCache {
        SnapshotCache::new(pool, cooldown, false)
    }

    /// For a person who asks once: a small fleet is counted at that moment.
    pub fn for_commands(pool: PgPool, cooldown: Duration) -> SnapshotCache {
        SnapshotCache::new(pool, cooldown, true)
    }

    fn new(pool: PgPool, cooldown: Duration, waits: bool) -> SnapshotCache {
        let cooldown = TimeDelta::from_std(cooldown).unwrap_or(TimeDelta::zero());
        SnapshotCache { directories: AddressCache::new(pool.clone()), pool, cooldown, taking: Arc::default(), waits }
    }

    /// Returns what was counted of `user`, or of all, lately; `now` is the day clock's.
    pub async fn current(&self, user: Option<UserId>, now: DateTime<Utc>) -> Result<StatsSnapshot, sqlx::Error> {
        let last = sql::counted(&self.pool, user).await?;
        match (self.verdict(last.as_ref()), last) {
            (SnapshotAction::Serve, Some(counted)) => Ok(StatsSnapshot::from(counted)),
            (SnapshotAction::ServeAndRefresh, Some(counted)) => {
                self.count_beside(now);
                Ok(StatsSnapshot::from(counted))
            }
            _ => self.count(user, now).await,
        }
    }

    /// Returns everybody's addresses, in which nothing is missing that was enrolled before the snapshot `lately` was counted; none where
    /// Postgres has to be asked: of a small fleet, and until they are there.
    pub fn directory(&self, lately: &StatsSnapshot) -> Option<Arc<AddressIndex>> {
        (lately.enrolled > SMALL).then(|| self.directories.at(lately.edition)).flatten()
    }

    /// Notes that what was counted has just been changed by whoever asks next.
    pub async fn invalidate(&self) {
        mark(&self.pool).await;
    }

    /// Has everybody counted while nobody asks, until `stop`. Never fails: whoever asks is told what is wrong.
    pub async fn keep(&self, clock: &dyn Clock, stop: &CancellationToken) {
        let keeping = async {
            loop {
                clock.sleep(KEPT_EVERY).await;
                self.directories.rest();
                if let Err(error) = self.keep_up(clock.now()).await {
                    tracing::debug!(%error, "the mailboxes can't be counted now");
                }
            }
        };
        // What is being counted then is given up: what was not committed never was.
        let _: Option<()> = stop.run_until_cancelled(keeping).await;
    }

    async fn keep_up(&self, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        let last = sql::counted(&self.pool, None).await?;
        let is_late = last.as_ref().is_none_or(|last| last.age.age_ms >= KEPT_EVERY.as_millis() as i64 / 2);
        if !is_late || self.verdict(last.as_ref()) == SnapshotAction::Serve {
            return Ok(());
        }
        let Ok(_turn) = Arc::clone(&self.taking).try_lock_owned() else { return Ok(()) };
        sql::refresh(&self.pool, now, self.cooldown, IfBusy::Skip).await
    }

    async fn count(&self, user: Option<UserId>, now: DateTime<Utc>) -> Result<StatsSnapshot, sqlx::Error> {
        let turn = Arc::clone(&self.taking).lock_owned().await;
        // Whoever had the turn before us may have done it.
        let last = sql::counted(&self.pool, user).await?;
        if self.verdict(last.as_ref()) == SnapshotAction::Refresh {
            // Whoever asked may be gone before the end; those who wait behind them want it too.
            let (pool, cooldown) = (self.pool.clone(), self.cooldown);
            let taking = tokio::spawn(async move {
                let taken = sql::refresh(&pool, now, cooldown, IfBusy::Wait).await;
                drop(turn);
                taken
            });
            match (taking.await.map_err(|_| sqlx::Error::WorkerCrashed)?, last) {
                (Err(error), Some(last)) if is_read_only(&error) => return Ok(StatsSnapshot::from(last)),
                (taken, _) => taken?,
            }
        }
        let counted = sql::counted(&self.pool, user).await?;
        counted.map(StatsSnapshot::from).ok_or(sqlx::Error::RowNotFound)
    }

    /// Nobody waits for it, also not a stop: what was not committed never was.
    fn count_beside(&self, now: DateTime<Utc>) {
        let Ok(turn) = Arc::clone(&self.taking).try_lock_owned() else { return };
        let (pool, cooldown) = (self.pool.clone(), self.cooldown);
        tokio::spawn(async move {
            if let Err(error) = sql::refresh(&pool, now, cooldown, IfBusy::Skip).await {
                tracing::warn!(%error, "the mailboxes can't be counted: what was counted last is told until they can");
            }
            drop(turn);
        });
    }

    fn verdict(&self, last: Option<&SnapshotRow>) -> SnapshotAction {
        let Some(SnapshotRow { age, .. }) = last else { return SnapshotAction::Refresh };
        let (is_small, holds_ms) = (age.enrolled <= SMALL, self.holds_ms(age));
        // A clock that was put back makes an age of less than nothing.
        match (0..holds_ms).contains(&age.age_ms) && !age.is_marked {
            true => SnapshotAction::Serve,
            false if is_small || self.waits => SnapshotAction::Refresh,
            false if age.age_ms > holds_ms + LONG_AGO.as_millis() as i64 => SnapshotAction::Refresh,
            false => SnapshotAction::ServeAndRefresh,
        }
    }

    fn holds_ms(&self, age: &Age) -> i64 {
        match age.enrolled <= SMALL {
            true if self.waits => 0,
            true => SMALL_HOLDS.as_millis() as i64,
            false => age.took_ms.saturating_mul(HOLDS_TIMES).clamp(LARGE_HOLDS_MS.0, LARGE_HOLDS_MS.1),
        }
    }
}

/// Notes that something was changed that is counted, or that somebody looks for: for whoever asks next, on any pod.
pub async fn mark(pool: &PgPool) {
    if let Err(error) = sql::mark(pool).await {
        tracing::warn!(%error, "a change shows in the numbers only when they are counted again");
    }
}

/// Says whether Postgres refuses to write: the last count is then all there is.
pub fn is_read_only(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "25006")
}

impl From<SnapshotRow> for StatsSnapshot {
    fn from(counted: SnapshotRow) -> StatsSnapshot {
        let SnapshotRow { as_of, edition, age, pace, totals } = counted;
        StatsSnapshot { as_of, edition, enrolled: age.enrolled, totals: totals.unwrap_or_default(), pace }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census(waits: bool) -> SnapshotCache {
        let pool = PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
        SnapshotCache::new(pool, Duration::from_secs(600), waits)
    }

    fn counted(enrolled: i64, age_ms: i64, took_ms: i64) -> SnapshotRow {
        let age = Age { age_ms, took_ms, is_marked: false, enrolled };
        SnapshotRow {
            as_of: DateTime::UNIX_EPOCH,
            edition: SnapshotVersion::default(),
            age,
            totals: None,
            pace: Throughput::default(),
        }
    }

    #[tokio::test]
    async fn a_small_fleet_is_counted_while_one_waits_and_a_large_one_beside() {
        let requests = census(false);
        for (enrolled, age_ms, took_ms, verdict) in [
            (4, 100, 2, SnapshotAction::Serve),
            (4, 300, 2, SnapshotAction::Refresh),
            (100_000, 900, 50, SnapshotAction::Serve),
            (100_000, 4_000, 500, SnapshotAction::Serve),
            (100_000, 6_000, 500, SnapshotAction::ServeAndRefresh),
            (100_000, 9_000, 60_000, SnapshotAction::Serve),
            (100_000, 11_000, 60_000, SnapshotAction::ServeAndRefresh),
            (100_000, 26_000, 500, SnapshotAction::Refresh),
            (100_000, -5, 500, SnapshotAction::ServeAndRefresh),
        ] {
            assert_eq!(requests.verdict(Some(&counted(enrolled, age_ms, took_ms))), verdict, "{enrolled} {age_ms}");
        }
        assert_eq!(requests.verdict(None), SnapshotAction::Refresh);
    }

    #[tokio::test]
    async fn what_was_changed_since_is_counted_again() {
        let mark = |counted: SnapshotRow| SnapshotRow { age: Age { is_marked: true, ..counted.age }, ..counted };
        assert_eq!(census(false).verdict(Some(&mark(counted(4, 1, 2)))), SnapshotAction::Refresh);
        assert_eq!(census(false).verdict(Some(&mark(counted(100_000, 1, 500)))), SnapshotAction::ServeAndRefresh);
    }

    #[tokio::test]
    async fn a_person_is_not_told_what_is_being_counted_again() {
        assert_eq!(census(true).verdict(Some(&counted(4, 1, 2))), SnapshotAction::Refresh);
        assert_eq!(census(true).verdict(Some(&counted(100_000, 6_000, 500))), SnapshotAction::Refresh);
        assert_eq!(census(true).verdict(Some(&counted(100_000, 900, 500))), SnapshotAction::Serve);
    }
}
