//! What everybody's addresses are looked for in, where they are many: a copy of them in memory, as Postgres has them.
//!
//! ```text
//!   nobody changed a mailbox, nobody counted     the copy is as good as Postgres
//!   everybody was counted again                  the copy is told, and taken anew beside
//!   that was long ago, or somebody changed one   Postgres is asked, until the copy was taken anew: some tenths of a second
//! ```
//!
//! Both are written in Postgres (`census`), and read by each search: so whoever enrols or removes a mailbox on any pod, or by
//! a command, finds it so on every pod, and whoever did it without a word (by hand, or died before the word) does after the
//! next census. What is found is read from Postgres by id. An owner's own are not looked for in here: their index is short, and
//! no copy says whose a mailbox is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use sqlx::PgPool;

use crate::{
    domain::address_index::AddressIndex,
    reporting::sql::{self, SnapshotVersion},
};

/// A copy that is older than the last census by no more than this is told while the next is taken: by then two or three
/// censuses are over, of which each search asks for a new copy.
const HOLDS: TimeDelta = TimeDelta::seconds(30);
/// A copy that nobody looked into for so many rounds of the census is given up: ten minutes.
const ROUNDS: u32 = 60;

/// The copy, and whoever takes the next one.
pub(super) struct AddressCache {
    pool: PgPool,
    kept: Arc<Mutex<Option<CachedIndex>>>,
    /// One is enough, also when fifty requests find that it is time.
    taking: Arc<tokio::sync::Mutex<()>>,
}

struct CachedIndex {
    edition: SnapshotVersion,
    /// None where what Postgres has can't be kept so.
    directory: Option<Arc<AddressIndex>>,
    rounds: u32,
}

/// What to do about the copy.
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

    /// Returns the addresses as they were at `edition`, or later; none where they have to be looked for in Postgres.
    pub(super) fn at(&self, edition: SnapshotVersion) -> Option<Arc<AddressIndex>> {
        let (verdict, directory) = self.look(edition);
        if verdict != CacheAction::Tell {
            self.take_beside();
        }
        directory.filter(|_| verdict != CacheAction::AskAndTake)
    }

    /// Gives up what nobody looks into any more; called at each round of the census.
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

    /// Nobody waits for it, also not a stop.
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

/// A change that is told later than the one after which the copy was taken may be missing in it.
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
