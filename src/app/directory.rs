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
    adapters::postgres::view::{self, Edition},
    domain::directory::Directory,
};

/// A copy that is older than the last census by no more than this is told while the next is taken: by then two or three
/// censuses are over, of which each search asks for a new copy.
const HOLDS: TimeDelta = TimeDelta::seconds(30);
/// A copy that nobody looked into for so many rounds of the census is given up: ten minutes.
const ROUNDS: u32 = 60;

/// The copy, and whoever takes the next one.
pub(super) struct Directories {
    pool: PgPool,
    kept: Arc<Mutex<Option<Kept>>>,
    /// One is enough, also when fifty requests find that it is time.
    taking: Arc<tokio::sync::Mutex<()>>,
}

struct Kept {
    edition: Edition,
    /// None where what Postgres has can't be kept so.
    directory: Option<Arc<Directory>>,
    rounds: u32,
}

/// What to do about the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Tell,
    TellAndTake,
    AskAndTake,
}

impl Directories {
    pub(super) fn new(pool: PgPool) -> Directories {
        Directories { pool, kept: Arc::default(), taking: Arc::default() }
    }

    /// Returns the addresses as they were at `edition`, or later; none where they have to be looked for in Postgres.
    pub(super) fn at(&self, edition: Edition) -> Option<Arc<Directory>> {
        let (verdict, directory) = self.look(edition);
        if verdict != Verdict::Tell {
            self.take_beside();
        }
        directory.filter(|_| verdict != Verdict::AskAndTake)
    }

    /// Gives up what nobody looks into any more; called at each round of the census.
    pub(super) fn rest(&self) {
        let mut kept = locked(&self.kept);
        kept.iter_mut().for_each(|kept| kept.rounds += 1);
        kept.take_if(|kept| kept.rounds > ROUNDS);
    }

    fn look(&self, edition: Edition) -> (Verdict, Option<Arc<Directory>>) {
        match &mut *locked(&self.kept) {
            None => (Verdict::AskAndTake, None),
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
            match view::directory(&pool).await {
                Ok(taken) => *locked(&shelf) = taken.map(Kept::of),
                Err(error) => tracing::warn!(%error, "the addresses can't be read: they are looked for in Postgres"),
            }
            drop(turn);
        });
    }
}

impl Kept {
    fn of((edition, directory): (Edition, Option<Directory>)) -> Kept {
        Kept { edition, directory: directory.map(Arc::new), rounds: 0 }
    }
}

/// A change that is told later than the one after which the copy was taken may be missing in it.
fn verdict(kept: Edition, asked: Edition) -> Verdict {
    let late = asked.taken_at - kept.taken_at;
    match () {
        () if asked.marked_at > kept.marked_at || late > HOLDS => Verdict::AskAndTake,
        () if late > TimeDelta::zero() => Verdict::TellAndTake,
        () => Verdict::Tell,
    }
}

fn locked(kept: &Mutex<Option<Kept>>) -> MutexGuard<'_, Option<Kept>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn edition(taken: i64, marked: Option<i64>) -> Edition {
        let at = |second| DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
        Edition { taken_at: at(taken), marked_at: marked.map(at) }
    }

    #[test]
    fn a_copy_is_told_unless_somebody_changed_a_mailbox_since_or_it_is_old() {
        let kept = edition(100, Some(90));
        for (asked, expected) in [
            (kept, Verdict::Tell),
            (edition(95, None), Verdict::Tell),
            (edition(101, Some(90)), Verdict::TellAndTake),
            (edition(131, Some(90)), Verdict::AskAndTake),
            (edition(100, Some(91)), Verdict::AskAndTake),
            (edition(101, Some(91)), Verdict::AskAndTake),
        ] {
            assert_eq!(verdict(kept, asked), expected, "{asked:?}");
        }
        assert_eq!(verdict(edition(100, None), edition(100, Some(1))), Verdict::AskAndTake);
    }
}
