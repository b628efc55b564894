//! `UnstartedMails` remembers the mails of this run that are possibly reserved and certainly not started.
//!
//! A reserve whose answer was lost may still be executed, and a release may fail. A sweep may then release these
//! flights, because only their own run knows that it opened no connection for them. Any other flight may have been
//! sent, even one of this run that reappears in a database that was set back.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::domain::lease::MachineTime;

/// The maximum number of remembered Message-IDs: ten full batches. A sweep settles older ones as uncertain.
const CAPACITY: usize = 10_000;

/// The Message-IDs, oldest first, each with the time of its record.
#[derive(Debug, Default)]
pub(super) struct UnstartedMails(Mutex<VecDeque<(String, MachineTime)>>);

impl UnstartedMails {
    /// Records mails that were not started and may be in flight in the ledger.
    pub(super) fn record(&self, message_ids: impl IntoIterator<Item = String>, now: MachineTime) {
        let mut mails = self.lock();
        mails.extend(message_ids.into_iter().map(|id| (id, now)));
        let excess = mails.len().saturating_sub(CAPACITY);
        mails.drain(..excess);
    }

    /// Returns the Message-IDs that a sweep may release.
    pub(super) fn message_ids(&self) -> Vec<String> {
        self.lock().iter().map(|(id, _)| id.clone()).collect()
    }

    /// Forgets mails that were recorded longer than `late` before `asked`, the start of a successful sweep. A late
    /// reserve is executed by then, so the sweep has seen it.
    pub(super) fn forget_swept(&self, asked: MachineTime, late: Duration) {
        self.lock().retain(|(_, recorded)| recorded.after(late) > asked);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(String, MachineTime)>> {
        // A lock is poisoned only by a panic between two plain writes, so the list is complete.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> MachineTime {
        MachineTime(Duration::from_secs(seconds))
    }

    #[test]
    fn a_mail_is_forgotten_by_a_sweep_that_began_after_its_reserve_was_done() {
        let mails = UnstartedMails::default();
        mails.record(["a".to_owned()], at(0));
        mails.record(["b".to_owned()], at(30));
        mails.forget_swept(at(59), LATE);
        assert_eq!(mails.message_ids(), ["a", "b"]);
        mails.forget_swept(at(60), LATE);
        assert_eq!(mails.message_ids(), ["b"]);
    }

    #[test]
    fn the_newest_are_kept_when_there_are_too_many() {
        let mails = UnstartedMails::default();
        mails.record((0..CAPACITY + 5).map(|n| n.to_string()), at(0));
        assert_eq!((mails.message_ids().len(), mails.message_ids()[0].as_str()), (CAPACITY, "5"));
    }
}
