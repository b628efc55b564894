//! The slots in which mails are sent. A lane is free, busy with a mail, or resting after one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

/// `WARMUP_MAX_CONCURRENT` lanes.
#[derive(Debug)]
pub(super) struct Lanes {
    idle: usize,
    /// How many lanes rest until when.
    resting: BTreeMap<DateTime<Utc>, usize>,
}

impl Lanes {
    pub(super) fn new(lanes: usize) -> Lanes {
        Lanes { idle: lanes, resting: BTreeMap::new() }
    }

    /// Returns how many lanes may start a mail at `now`.
    pub(super) fn free(&mut self, now: DateTime<Utc>) -> usize {
        while let Some(rested) = self.resting.first_entry().filter(|rested| *rested.key() <= now) {
            self.idle += rested.remove();
        }
        self.idle
    }

    /// Returns when the next lane is free: long ago if one is, `None` while all are busy.
    pub(super) fn next_free_at(&self) -> Option<DateTime<Utc>> {
        if self.idle > 0 {
            return Some(DateTime::<Utc>::MIN_UTC);
        }
        self.resting.first_key_value().map(|(at, _)| *at)
    }

    /// Takes a free lane for a mail. The permit comes before the work.
    pub(super) fn occupy(&mut self) {
        debug_assert!(self.idle > 0, "a mail was started without a free lane");
        self.idle = self.idle.saturating_sub(1);
    }

    /// Lets a lane rest after its mail.
    pub(super) fn rest_until(&mut self, at: DateTime<Utc>) {
        *self.resting.entry(at).or_default() += 1;
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
        let mut lanes = Lanes::new(2);
        lanes.occupy();
        lanes.occupy();
        assert_eq!((lanes.free(at(0)), lanes.next_free_at()), (0, None));
        lanes.rest_until(at(5));
        assert_eq!((lanes.free(at(4)), lanes.next_free_at()), (0, Some(at(5))));
        assert_eq!(lanes.free(at(5)), 1);
    }

    #[test]
    fn lanes_that_rest_equally_long_all_come_back() {
        let mut lanes = Lanes::new(3);
        for _ in 0..3 {
            lanes.occupy();
            lanes.rest_until(at(1));
        }
        assert_eq!(lanes.free(at(1)), 3);
    }
}
