//! `Parts` divides the owned shards of a tick into parts, so that the first mails of a large fleet start early.
//!
//! The loop starts mails between two parts. A failed part stays in the list and is planned again; earlier parts stay
//! planned. A part has as many shards as held about `AIM` mailboxes in the last part. A part that was too slow for
//! Postgres is planned again in quarters. The next tick tries twice that size.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use crate::domain::id::ShardId;

/// The number of mailboxes of one part: about a second of a slow database.
const AIM: usize = 10_000;

/// The number of shards of the first part, before the size of the fleet is known: a sixteenth of the default.
const FIRST: usize = 16;

/// The shards of a tick that are not planned yet.
#[derive(Debug)]
pub(super) struct Parts {
    shards: BTreeSet<ShardId>,
    /// The number of shards of the next part.
    at_once: usize,
    /// The upper bound of `at_once` after a part that was too slow.
    most: usize,
    /// The days whose rosters were compared with the mailboxes since the last new shards. A comparison reads the whole
    /// fleet, so one comparison serves all parts.
    rosters: BTreeSet<NaiveDate>,
}

impl Default for Parts {
    fn default() -> Parts {
        Parts { shards: BTreeSet::new(), at_once: FIRST, most: usize::MAX, rosters: BTreeSet::new() }
    }
}

impl Parts {
    /// Adds shards to plan.
    pub(super) fn add(&mut self, shards: impl IntoIterator<Item = ShardId>) {
        self.shards.extend(shards);
        self.rosters.clear();
    }

    /// Forgets the compared rosters, because mailboxes were enrolled, enabled or resumed since.
    pub(super) fn forget_rosters(&mut self) {
        self.rosters.clear();
    }

    /// Removes shards that another worker plans.
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

    /// Returns the number of shards of a part.
    pub(super) fn at_once(&self) -> usize {
        self.at_once
    }

    /// Returns the shards of the next part.
    pub(super) fn next(&self) -> BTreeSet<ShardId> {
        self.shards.iter().take(self.at_once).copied().collect()
    }

    /// Returns whether the roster of `day` is recent enough for all parts.
    pub(super) fn has_roster(&self, day: NaiveDate) -> bool {
        self.rosters.contains(&day)
    }

    /// Records that the roster of `day` was compared with the mailboxes.
    pub(super) fn note_roster(&mut self, day: NaiveDate) {
        self.rosters.insert(day);
    }

    /// Records that `part`, which has `mailboxes` mailboxes, is planned, and sets the size of the next part.
    pub(super) fn planned(&mut self, part: &BTreeSet<ShardId>, mailboxes: usize) {
        self.remove(part);
        if self.is_empty() {
            self.most = self.most.saturating_mul(2);
        }
        self.at_once = (part.len() * AIM / mailboxes.max(1)).clamp(1, self.most);
    }

    /// Reduces the size after `part` was too slow. Returns false if it was a single shard.
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

    /// Plans all shards, each with `mailboxes` mailboxes, and returns the sizes of the parts.
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
