//! A `LedgerMark` records the progress of a database outside of it: in each worker and in Redis.
//!
//! Ids and epochs only grow, and a settled mail keeps its row. So a database that shows less than a mark has
//! lost commits. Causes are a failover to a standby that was behind, a crash with `synchronous_commit = off`,
//! and a restore. Its counts of today are then too low, so no mail may be sent by them.
//!
//! A *fence* makes such a database safe again: it closes the days, and raises ids and epochs beyond all
//! issued ones. Marks from before a fence are void.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// A settled mail, by its log row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledMail {
    pub day: NaiveDate,
    pub log_id: i64,
    pub message_id: String,
}

/// The progress of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerMark {
    /// The number of the last fence.
    pub fence: i64,
    /// The highest issued flight id.
    pub flight: i64,
    /// The number of shards, and the sum of their epochs.
    pub shards: i64,
    pub epochs: i64,
    /// A mail whose settlement was confirmed.
    pub settled: Option<SettledMail>,
}

/// The current progress of a database, for comparison with a mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerState {
    pub fence: i64,
    pub flight: i64,
    pub shards: i64,
    pub epochs: i64,
    /// False if the row of the mark's settled mail is gone.
    pub has_settled: bool,
}

impl LedgerMark {
    /// Returns a sentence about how a database with `state` is behind this mark, or `None` if it is not.
    pub fn set_back(&self, state: &LedgerState) -> Option<String> {
        if state.fence > self.fence {
            return None;
        }
        if state.fence < self.fence {
            return Some("its last fence is gone".to_owned());
        }
        if state.flight < self.flight {
            return Some(format!("its newest mail is {}, and {} was handed out", state.flight, self.flight));
        }
        if state.shards == self.shards && state.epochs < self.epochs {
            return Some(format!(
                "the epochs of its shards add up to {}, and had reached {}",
                state.epochs, self.epochs
            ));
        }
        let settled = self.settled.as_ref().filter(|_| !state.has_settled)?;
        Some(format!("the log row {} of {}, which was settled, is gone", settled.log_id, settled.day))
    }

    /// Advances the mark to `state` of a database that is not behind.
    pub fn advance(&mut self, state: &LedgerState) {
        if state.fence > self.fence {
            *self = LedgerMark::default();
        }
        self.fence = state.fence;
        self.flight = self.flight.max(state.flight);
        (self.shards, self.epochs) = (state.shards, state.epochs);
    }

    /// Merges the further progress of another mark into this one.
    pub fn merge(&mut self, other: LedgerMark) {
        if other.fence > self.fence {
            *self = other;
        } else if other.fence == self.fence {
            self.flight = self.flight.max(other.flight);
            if self.shards == 0 || (self.shards == other.shards && self.epochs < other.epochs) {
                (self.shards, self.epochs) = (other.shards, other.epochs);
            }
            self.settled = self.settled.take().or(other.settled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> LedgerMark {
        let settled = SettledMail { day: NaiveDate::default(), log_id: 7, message_id: "7@a.test".into() };
        LedgerMark { fence: 1, flight: 10, shards: 4, epochs: 20, settled: Some(settled) }
    }

    fn state() -> LedgerState {
        LedgerState { fence: 1, flight: 10, shards: 4, epochs: 20, has_settled: true }
    }

    #[test]
    fn a_database_that_shows_less_is_set_back() {
        assert_eq!(mark().set_back(&state()), None);
        let cases = [
            LedgerState { fence: 0, ..state() },
            LedgerState { flight: 9, ..state() },
            LedgerState { epochs: 19, ..state() },
            LedgerState { has_settled: false, ..state() },
        ];
        for case in cases {
            assert!(mark().set_back(&case).is_some(), "{case:?}");
        }
    }

    #[test]
    fn a_fence_voids_the_marks_from_before_it() {
        let fenced = LedgerState { fence: 2, flight: 1, shards: 4, epochs: 1, has_settled: false };
        assert_eq!(mark().set_back(&fenced), None);
        let mut after = mark();
        after.advance(&fenced);
        assert_eq!(after, LedgerMark { fence: 2, flight: 1, shards: 4, epochs: 1, settled: None });
        after.merge(mark());
        assert_eq!((after.flight, after.settled), (1, None));
    }

    #[test]
    fn another_number_of_shards_is_not_compared() {
        assert_eq!(mark().set_back(&LedgerState { shards: 3, epochs: 1, ..state() }), None);
    }

    #[test]
    fn a_merged_mark_knows_the_most_of_both() {
        let mut mine = LedgerMark { settled: None, epochs: 21, ..mark() };
        mine.merge(LedgerMark { flight: 12, ..mark() });
        assert_eq!(mine, LedgerMark { flight: 12, epochs: 21, ..mark() });
        mine.merge(LedgerMark { fence: 2, ..LedgerMark::default() });
        assert_eq!(mine.fence, 2);
    }
}
