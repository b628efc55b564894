//! `Lanes` counts the concurrent send slots of a worker. A lane is free, busy with a mail, or resting after a mail.
//!
//! The loop occupies lanes and the deliveries free them. A freed lane wakes the loop only if that makes a difference,
//! because each wake costs the loop a full check of its state.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use super::queue::AwaitedEnds;
use crate::domain::{host_window::HostSign, id::MailboxId};

/// The lanes of a worker: `WARMUP_MAX_CONCURRENT` of them.
#[derive(Debug)]
pub(super) struct Lanes {
    slots: Mutex<Slots>,
    /// The number of lanes of a full batch.
    batch: usize,
}

#[derive(Debug)]
struct Slots {
    idle: usize,
    /// The number of resting lanes by the end of their rest.
    resting: BTreeMap<DateTime<Utc>, usize>,
    /// The number of idle and resting lanes.
    at_hand: usize,
    /// The mails that ended since the last call of `hear`.
    ended: Vec<LaneEnd>,
    /// The hosts for whose next mail end the loop waits; `awaits_all` if the end of any mail counts.
    awaited_hosts: HashSet<Arc<str>>,
    awaits_all: bool,
}

/// The end of a mail or a reply in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LaneEnd {
    pub(super) mailbox: MailboxId,
    /// The sign of the mail's end about the mail host.
    pub(super) sign: HostSign,
}

impl Lanes {
    /// Creates `lanes` lanes; a batch takes at most `batch` of them.
    pub(super) fn new(lanes: usize, batch: usize) -> Lanes {
        let slots = Slots {
            idle: lanes,
            resting: BTreeMap::new(),
            at_hand: lanes,
            ended: Vec::new(),
            awaited_hosts: HashSet::new(),
            awaits_all: false,
        };
        Lanes { slots: Mutex::new(slots), batch: batch.min(lanes) }
    }

    /// Returns the number of lanes that may start a mail at `now`.
    pub(super) fn free(&self, now: DateTime<Utc>) -> usize {
        let mut slots = self.slots();
        let Slots { idle, resting, .. } = &mut *slots;
        while let Some(rested) = resting.first_entry().filter(|rested| *rested.key() <= now) {
            *idle += rested.remove();
        }
        *idle
    }

    /// Ends all rests at `now`, because the clock that computed them was set since.
    pub(super) fn wake(&self, now: DateTime<Utc>) {
        let mut slots = self.slots();
        let lanes: usize = std::mem::take(&mut slots.resting).into_values().sum();
        if lanes > 0 {
            slots.resting.insert(now, lanes);
        }
    }

    /// Returns the time of the next free lane: the far past if one is free, `None` while all are busy.
    pub(super) fn next_free_at(&self) -> Option<DateTime<Utc>> {
        self.slots().next_free_at()
    }

    /// Returns the number of lanes of a full batch.
    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    /// Occupies a free lane for a mail, before the delivery starts.
    pub(super) fn occupy(&self) {
        let mut slots = self.slots();
        debug_assert!(slots.idle > 0, "a mail was started without a free lane");
        slots.idle = slots.idle.saturating_sub(1);
        slots.at_hand = slots.at_hand.saturating_sub(1);
    }

    /// Begins the rest of a lane after its mail. Returns whether a batch may start earlier for it: no other lane is
    /// free as early, or a full batch has enough lanes now.
    pub(super) fn rest_until(&self, at: DateTime<Utc>) -> bool {
        let mut slots = self.slots();
        let is_first = slots.next_free_at().is_none_or(|next| at < next);
        *slots.resting.entry(at).or_default() += 1;
        slots.at_hand += 1;
        is_first || slots.at_hand == self.batch
    }

    /// Records the end of a mail. Returns whether the loop waits for it, because it may release another mail to `host`.
    pub(super) fn end(&self, end: LaneEnd, host: &str) -> bool {
        let mut slots = self.slots();
        slots.ended.push(end);
        slots.awaits_all || slots.awaited_hosts.remove(host)
    }

    /// Returns the mails that ended since the last call, and sets the `awaited` ends. One call does both, so that no
    /// end is missed in between.
    pub(super) fn hear(&self, awaited: AwaitedEnds) -> Vec<LaneEnd> {
        let mut slots = self.slots();
        slots.awaited_hosts.extend(awaited.hosts);
        slots.awaits_all = awaited.all;
        std::mem::take(&mut slots.ended)
    }

    /// Locks the slots. A lock is poisoned only by a panic between plain writes.
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn next_free_at(&self) -> Option<DateTime<Utc>> {
        if self.idle > 0 {
            return Some(DateTime::<Utc>::MIN_UTC);
        }
        self.resting.first_key_value().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn a_lane_rests_after_its_mail() {
        let lanes = Lanes::new(2, 2);
        lanes.occupy();
        lanes.occupy();
        assert_eq!((lanes.free(at(0)), lanes.next_free_at()), (0, None));
        lanes.rest_until(at(5));
        assert_eq!((lanes.free(at(4)), lanes.next_free_at()), (0, Some(at(5))));
        assert_eq!(lanes.free(at(5)), 1);
    }

    #[test]
    fn lanes_that_rest_equally_long_all_come_back() {
        let lanes = Lanes::new(3, 3);
        for _ in 0..3 {
            lanes.occupy();
            lanes.rest_until(at(1));
        }
        assert_eq!(lanes.free(at(1)), 3);
    }

    #[test]
    fn the_loop_hears_of_the_first_lane_of_an_earlier_one_and_of_a_full_batch() {
        let lanes = Lanes::new(5, 3);
        (0..5).for_each(|_| lanes.occupy());
        let heard = [9, 9, 9, 7, 8].map(|second| lanes.rest_until(at(second)));
        assert_eq!(heard, [true, false, true, true, false]);
    }

    #[test]
    fn the_loop_hears_of_an_end_that_lets_another_mail_go_once() {
        let lanes = Lanes::new(2, 2);
        let end = |id: i64| LaneEnd { mailbox: MailboxId(id), sign: HostSign::Prompt };
        assert!(!lanes.end(end(1), "a.test"));
        let awaited = AwaitedEnds { hosts: vec!["b.test".into()], all: false };
        assert_eq!(lanes.hear(awaited), [end(1)]);
        assert_eq!(
            [2, 3, 4].map(|id| lanes.end(end(id), if id == 2 { "a.test" } else { "b.test" })),
            [false, true, false]
        );
        assert_eq!(lanes.hear(AwaitedEnds { hosts: Vec::new(), all: true }).len(), 3);
        assert!(lanes.end(end(5), "c.test"));
    }

    #[test]
    fn a_batch_takes_no_more_lanes_than_there_are() {
        let lanes = Lanes::new(2, 25);
        (0..2).for_each(|_| lanes.occupy());
        assert_eq!((lanes.batch(), lanes.rest_until(at(1)), lanes.rest_until(at(1))), (2, true, true));
    }
}
