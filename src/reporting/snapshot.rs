//! `SnapshotCache` serves numbers about many mailboxes from the last statistics snapshot, and refreshes the snapshot
//! when it is due (`reporting/sql/snapshot.rs`).
//!
//! ```text
//!   a recent snapshot                        served
//!   a small fleet                            refreshed while the caller waits: milliseconds
//!   a large fleet, an outdated snapshot      served, and refreshed in the background
//!   a large fleet, very outdated or none     refreshed while the caller waits
//! ```
//!
//! So the numbers of a small fleet are current, and those of a large one lag by ten times the duration of a refresh:
//! some seconds. The snapshot is in Postgres, where every pod reads it; the pods refresh it in turn. The refresh needs
//! neither a worker nor a leader.
//!
//! A serving pod refreshes the snapshot also without callers (`keep`). So the first caller after a quiet time does not
//! wait for a refresh, and the history of mailboxes that fell behind has no gaps.

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

/// The largest small fleet, in mailboxes: it is counted within some milliseconds.
const SMALL: i64 = 2_000;
/// The validity of a small fleet's snapshot: it is refreshed four times a second at most.
const SMALL_HOLDS: Duration = Duration::from_millis(250);
/// The validity of a large fleet's snapshot as a multiple of its duration, within the limits below. So refreshing takes
/// at most a tenth of one connection's time, and no number is older than the upper limit plus one refresh.
const HOLDS_TIMES: i64 = 10;
const LARGE_HOLDS_MS: (i64, i64) = (1_000, 10_000);
/// The age beyond its validity from which a snapshot is not served; the caller waits for a new one.
const LONG_AGO: Duration = Duration::from_secs(20);

/// The interval at which a pod checks whether a refresh is due: well below `LONG_AGO`.
const KEPT_EVERY: Duration = Duration::from_secs(10);

/// A `StatsSnapshot` holds the numbers of one user or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsSnapshot {
    /// The instant of all numbers, by the day clock.
    pub as_of: DateTime<Utc>,
    edition: SnapshotVersion,
    /// The number of mailboxes of all users.
    enrolled: i64,
    pub totals: Totals,
    /// The throughput of the whole fleet.
    pub pace: Throughput,
}

/// `SnapshotCache` serves the last snapshot and refreshes it when it is due.
pub struct SnapshotCache {
    pool: PgPool,
    /// `WARMUP_MAILBOX_COOLDOWN_MAX_MS`: the time for which an enrolled, resumed or started mailbox is *starting*.
    cooldown: TimeDelta,
    directories: AddressCache,
    /// The lock of the refresh: one suffices, also if fifty requests find it due.
    taking: Arc<Mutex<()>>,
    waits: bool,
}

/// A `SnapshotAction` decides whether the last snapshot is served and refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SnapshotAction {
    Serve,
    ServeAndRefresh,
    Refresh,
}

impl SnapshotCache {
    /// Creates a cache for frequent callers, who get an answer at once.
    pub fn for_requests(pool: PgPool, cooldown: Duration) -> SnapshotCache {
        SnapshotCache::new(pool, cooldown, false)
    }

    /// Creates a cache for a person who asks once: a small fleet is counted at that moment.
    pub fn for_commands(pool: PgPool, cooldown: Duration) -> SnapshotCache {
        SnapshotCache::new(pool, cooldown, true)
    }

    fn new(pool: PgPool, cooldown: Duration, waits: bool) -> SnapshotCache {
        let cooldown = TimeDelta::from_std(cooldown).unwrap_or(TimeDelta::zero());
        SnapshotCache { directories: AddressCache::new(pool.clone()), pool, cooldown, taking: Arc::default(), waits }
    }

    /// Returns the recent numbers of `user`, or of all; `now` is the day clock's.
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

    /// Returns the index of all addresses, which contains every mailbox enrolled before the snapshot `lately`. Returns
    /// `None` if the search must use Postgres: in a small fleet, and until the index is read.
    pub fn directory(&self, lately: &StatsSnapshot) -> Option<Arc<AddressIndex>> {
        (lately.enrolled > SMALL).then(|| self.directories.at(lately.edition)).flatten()
    }

    /// Marks the snapshot as outdated after a change, so that the next caller gets new numbers.
    pub async fn invalidate(&self) {
        mark(&self.pool).await;
    }

    /// Refreshes the snapshot without callers, until `stop`. Never fails: an error reaches the next caller.
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
        // A shutdown cancels a running refresh; that is safe, because the transaction rolls back.
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
        // The previous holder of the lock may have refreshed the snapshot.
        let last = sql::counted(&self.pool, user).await?;
        if self.verdict(last.as_ref()) == SnapshotAction::Refresh {
            // A separate task, because the caller may leave early, and later callers wait for the refresh too.
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

    /// Refreshes in the background. Neither a caller nor a shutdown waits for it. Cancelling is safe: the transaction
    /// rolls back.
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
        // A clock that was set back makes the age negative.
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

/// Marks the snapshot as outdated after a change of counted or searchable data, for the next caller on any pod.
pub async fn mark(pool: &PgPool) {
    if let Err(error) = sql::mark(pool).await {
        tracing::warn!(%error, "a change shows in the numbers only when they are counted again");
    }
}

/// Returns whether Postgres refuses to write; then only the last snapshot is available.
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
