//! `AddressCache` holds a copy of all addresses in memory, for searches in a large fleet.
//!
//! ```text
//!   no change, no newer snapshot                the copy serves: it is as good as Postgres
//!   a newer snapshot                            the copy serves, and a new copy is read in the background
//!   a much newer snapshot, or a change since    Postgres serves until the new copy is read: some tenths of a second
//! ```
//!
//! Postgres stores the times of snapshot and change (table `census`), and each search reads them. So an enrolment or
//! removal by any pod or command is visible on every pod at once. A change that was not marked (by hand, or by a
//! process that died before the mark) becomes visible with the next snapshot. The found mailboxes are read from
//! Postgres by id. A search of one owner's addresses does not use the copy: the owner's index is short, and the copy
//! does not hold the owners.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use sqlx::PgPool;

use crate::{
    domain::address_index::AddressIndex,
    reporting::sql::{self, SnapshotVersion},
};

/// The largest lag of the copy behind the last snapshot at which it still serves while a new copy is read. In that time
/// two or three snapshots are taken, and each search after one requests a new copy.
const HOLDS: TimeDelta = TimeDelta::seconds(30);
/// The number of snapshot rounds without a search after which the copy is dropped: ten minutes.
const ROUNDS: u32 = 60;

/// `AddressCache` holds the copy and reads its successors.
pub(super) struct AddressCache {
    pool: PgPool,
    kept: Arc<Mutex<Option<CachedIndex>>>,
    /// The lock of the reader: one suffices, also if fifty requests find a new copy due.
    taking: Arc<tokio::sync::Mutex<()>>,
}

struct CachedIndex {
    edition: SnapshotVersion,
    /// The index; `None` if it can't represent the addresses in Postgres.
    directory: Option<Arc<AddressIndex>>,
    rounds: u32,
}

/// A `CacheAction` decides between the copy and Postgres, and whether to read a new copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CacheAction {
    Tell,
    TellAndTake,
    AskAndTake,
}

impl AddressCache {
    pub(super) fn new(pool: PgPool) -> AddressCache {
        AddressCache { pool, kept: Arc::default(), taking: Arc::default() }
    }

    /// Returns the addresses as of `edition` or later; `None` if the search must use Postgres.
    pub(super) fn at(&self, edition: SnapshotVersion) -> Option<Arc<AddressIndex>> {
        let (verdict, directory) = self.look(edition);
        if verdict != CacheAction::Tell {
            self.take_beside();
        }
        directory.filter(|_| verdict != CacheAction::AskAndTake)
    }

    /// Drops a copy that no search uses; called at each snapshot round.
    pub(super) fn rest(&self) {
        let mut kept = locked(&self.kept);
        kept.iter_mut().for_each(|kept| kept.rounds += 1);
        kept.take_if(|kept| kept.rounds > ROUNDS);
    }

    fn look(&self, edition: SnapshotVersion) -> (CacheAction, Option<Arc<AddressIndex>>) {
        match &mut *locked(&self.kept) {
            None => (CacheAction::AskAndTake, None),
            Some(kept) => {
                kept.rounds = 0;
                (verdict(kept.edition, edition), kept.directory.clone())
            }
        }
    }

    /// Reads a new copy in the background. Neither a caller nor a shutdown waits for it.
    fn take_beside(&self) {
        let Ok(turn) = Arc::clone(&self.taking).try_lock_owned() else { return };
        let (pool, shelf) = (self.pool.clone(), Arc::clone(&self.kept));
        tokio::spawn(async move {
            match sql::directory(&pool).await {
                Ok(taken) => *locked(&shelf) = taken.map(CachedIndex::of),
                Err(error) => tracing::warn!(%error, "the addresses can't be read: they are looked for in Postgres"),
            }
            drop(turn);
        });
    }
}

impl CachedIndex {
    fn of((edition, directory): (SnapshotVersion, Option<AddressIndex>)) -> CachedIndex {
        CachedIndex { edition, directory: directory.map(Arc::new), rounds: 0 }
    }
}

/// Returns the action for a copy of version `kept` and a search at `asked`. A change that was marked after the copy's
/// own mark may be missing in the copy.
fn verdict(kept: SnapshotVersion, asked: SnapshotVersion) -> CacheAction {
    let late = asked.taken_at - kept.taken_at;
    match () {
        () if asked.marked_at > kept.marked_at || late > HOLDS => CacheAction::AskAndTake,
        () if late > TimeDelta::zero() => CacheAction::TellAndTake,
        () => CacheAction::Tell,
    }
}

fn locked(kept: &Mutex<Option<CachedIndex>>) -> MutexGuard<'_, Option<CachedIndex>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn edition(taken: i64, marked: Option<i64>) -> SnapshotVersion {
        let at = |second| DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
        SnapshotVersion { taken_at: at(taken), marked_at: marked.map(at) }
    }

    #[test]
    fn a_copy_is_told_unless_somebody_changed_a_mailbox_since_or_it_is_old() {
        let kept = edition(100, Some(90));
        for (asked, expected) in [
            (kept, CacheAction::Tell),
            (edition(95, None), CacheAction::Tell),
            (edition(101, Some(90)), CacheAction::TellAndTake),
            (edition(131, Some(90)), CacheAction::AskAndTake),
            (edition(100, Some(91)), CacheAction::AskAndTake),
            (edition(101, Some(91)), CacheAction::AskAndTake),
        ] {
            assert_eq!(verdict(kept, asked), expected, "{asked:?}");
        }
        assert_eq!(verdict(edition(100, None), edition(100, Some(1))), CacheAction::AskAndTake);
    }
}
