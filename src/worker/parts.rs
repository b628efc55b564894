//! A tick plans the owned shards part by part, so that the first mails of a large fleet do not wait for the last mailbox.
//!
//! Between two parts the loop starts mails. A part that failed stays here and is planned again; what was planned before it
//! stays planned. A part is as many shards as had about `AIM` mailboxes last time. A part that was too slow for Postgres is
//! planned again in quarters; the next tick tries twice that size.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use crate::domain::id::ShardId;

/// Mailboxes of one part: about a second of a slow database.
const AIM: usize = 10_000;

/// Shards of the first part, before the fleet's size is known: a sixteenth of the default.
const FIRST: usize = 16;

/// The shards that are still to be planned.
#[derive(Debug)]
pub(super) struct Parts {
    shards: BTreeSet<ShardId>,
    /// How many are planned at once.
    at_once: usize,
    /// The upper bound of it, since a part was too slow.
    most: usize,
    /// The days whose rosters were compared with the mailboxes since shards were added last. A comparison reads the whole
    /// fleet, so one serves all parts.
    rosters: BTreeSet<NaiveDate>,
}

impl Default for Parts {
    fn default() -> Parts {
        Parts { shards: BTreeSet::new(), at_once: FIRST, most: usize::MAX, rosters: BTreeSet::new() }
    }
}

impl Parts {
    /// Adds shards that are to be planned.
    pub(super) fn add(&mut self, shards: impl IntoIterator<Item = ShardId>) {
        self.shards.extend(shards);
        self.rosters.clear();
    }

    /// Forgets which rosters were compared: mailboxes were enrolled, switched on or resumed since.
    pub(super) fn forget_rosters(&mut self) {
        self.rosters.clear();
    }

    /// Removes shards that another worker plans from now on.
    pub(super) fn remove(&mut self, gone: &BTreeSet<ShardId>) {
        self.shards.retain(|shard| !gone.contains(shard));
    }

    /// Removes all shards.
    pub(super) fn clear(&mut self) {
        self.shards.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// Returns how many shards are planned at once.
    pub(super) fn at_once(&self) -> usize {
        self.at_once
    }

    /// Returns the shards that are planned next.
    pub(super) fn next(&self) -> BTreeSet<ShardId> {
        self.shards.iter().take(self.at_once).copied().collect()
    }

    /// Says whether the roster of `day` is new enough for all parts.
    pub(super) fn has_roster(&self, day: NaiveDate) -> bool {
        self.rosters.contains(&day)
    }

    /// Notes that the roster of `day` was compared with the mailboxes.
    pub(super) fn note_roster(&mut self, day: NaiveDate) {
        self.rosters.insert(day);
    }

    /// Notes that `part` is planned, which has `mailboxes`.
    pub(super) fn planned(&mut self, part: &BTreeSet<ShardId>, mailboxes: usize) {
        self.remove(part);
        if self.is_empty() {
            self.most = self.most.saturating_mul(2);
        }
        self.at_once = (part.len() * AIM / mailboxes.max(1)).clamp(1, self.most);
    }

    /// Notes that `part` was too slow. Returns false if it was a single shard already.
    pub(super) fn too_slow(&mut self, part: &BTreeSet<ShardId>) -> bool {
        self.most = (part.len() / 4).max(1);
        self.at_once = self.most;
        part.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(count: i32) -> BTreeSet<ShardId> {
        (0..count).map(ShardId).collect()
    }

    /// Plans all, each shard with so many mailboxes, and returns the sizes of the parts.
    fn sizes(parts: &mut Parts, count: i32, mailboxes: usize) -> Vec<usize> {
        parts.add(shards(count));
        let mut sizes = Vec::new();
        while !parts.is_empty() {
            let part = parts.next();
            sizes.push(part.len());
            parts.planned(&part, part.len() * mailboxes);
        }
        sizes
    }

    #[test]
    fn a_large_fleet_is_planned_by_about_ten_thousand_mailboxes_at_once() {
        let mut parts = Parts::default();
        assert_eq!(sizes(&mut parts, 256, 400), [16, 25, 25, 25, 25, 25, 25, 25, 25, 25, 15]);
        assert_eq!(sizes(&mut parts, 256, 400), [25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 6]);
        assert_eq!(sizes(&mut parts, 4, 20_000), [4]);
        assert_eq!(sizes(&mut parts, 4, 20_000), [1, 1, 1, 1]);
    }

    #[test]
    fn a_small_fleet_is_planned_at_once_as_soon_as_its_size_is_known() {
        let mut parts = Parts::default();
        assert_eq!(sizes(&mut parts, 256, 0), [16, 240]);
        assert_eq!(sizes(&mut parts, 256, 4), [256]);
        assert_eq!(sizes(&mut parts, 256, 4), [256]);
    }

    #[test]
    fn a_part_that_was_too_slow_is_planned_in_quarters_down_to_one_shard() {
        let mut parts = Parts::default();
        parts.add(shards(16));
        for (size, is_smaller) in [(16, true), (4, true), (1, false), (1, false)] {
            let part = parts.next();
            assert_eq!((part.len(), parts.too_slow(&part)), (size, is_smaller));
        }
        assert_eq!(sizes(&mut parts, 16, 4), [1; 16], "all of it is still to be planned");
        assert_eq!(sizes(&mut parts, 16, 4), [2; 8], "the next tick tries more");
    }

    #[test]
    fn a_roster_serves_all_parts_until_shards_are_added() {
        let (mut parts, day) = (Parts::default(), NaiveDate::default());
        parts.add(shards(16));
        parts.note_roster(day);
        parts.planned(&shards(1), 1);
        assert!(parts.has_roster(day));
        parts.add(shards(1));
        assert!(!parts.has_roster(day));
    }

    #[test]
    fn shards_that_went_are_not_planned() {
        let mut parts = Parts::default();
        parts.add(shards(3));
        parts.remove(&shards(2));
        assert_eq!(parts.next(), BTreeSet::from([ShardId(2)]));
    }
}
