//! All buckets of a fleet together: the rule "all four or none", as `lua/caps.lua` does it in Redis.

use std::{collections::HashMap, time::Duration};

use super::{Bucket, CapKind, Grant, Rates};
use crate::domain::id::UserId;

/// The buckets of the fleet and of each user that asked so far.
#[derive(Clone, Debug)]
pub struct Buckets {
    rates: Rates,
    buckets: HashMap<(CapKind, Option<UserId>), Bucket>,
}

impl Buckets {
    /// Starts with no bucket known: all are cold at the first question.
    pub fn new(rates: Rates) -> Buckets {
        Buckets { rates, buckets: HashMap::new() }
    }

    /// Asks for one token for each of `users` at `now` (microseconds since the epoch), in the order of urgency. A
    /// refusal skips that mail and not those behind it.
    pub fn grant(&mut self, now: i64, users: &[UserId]) -> Vec<Grant> {
        users.iter().map(|user| self.grant_one(now, *user)).collect()
    }

    /// Forgets everything, as a Redis that lost its data.
    pub fn lose(&mut self) {
        self.buckets.clear();
    }

    fn grant_one(&mut self, now: i64, user: UserId) -> Grant {
        let mut slowest = (CapKind::GlobalHour, 0);
        for kind in CapKind::ALL {
            let wait = self.fill(kind, user, now);
            if wait > slowest.1 {
                slowest = (kind, wait);
            }
        }
        match slowest {
            (_, 0) => {
                self.take_all(user, now);
                Grant::Granted
            }
            (cap, wait) => Grant::Refused { cap, wait: Duration::from_micros(wait.unsigned_abs()) },
        }
    }

    /// Fills one bucket up to `now` and keeps it also when the mail is refused: a bucket that was not there must begin
    /// to fill. Returns the wait for a token.
    fn fill(&mut self, kind: CapKind, user: UserId, now: i64) -> i64 {
        let rate = self.rates.rate(kind);
        let bucket = self.bucket(kind, user, now);
        *bucket = bucket.filled(rate, now);
        bucket.wait(rate, now)
    }

    fn take_all(&mut self, user: UserId, now: i64) {
        for kind in CapKind::ALL {
            let rate = self.rates.rate(kind);
            self.bucket(kind, user, now).take(rate);
        }
    }

    fn bucket(&mut self, kind: CapKind, user: UserId, now: i64) -> &mut Bucket {
        let owner = kind.is_per_user().then_some(user);
        self.buckets.entry((kind, owner)).or_insert(Bucket::cold(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::caps::CapLimits;

    const SECOND: i64 = 1_000_000;

    fn buckets(limits: CapLimits) -> Buckets {
        Buckets::new(Rates::of(&limits).unwrap())
    }

    fn wide() -> CapLimits {
        CapLimits {
            global_hour: 100_000,
            global_minute: 100_000,
            user_hour: 100_000,
            user_minute: 100_000,
            burst: 0.05,
        }
    }

    #[test]
    fn a_refusal_takes_from_none_of_the_four_and_skips_only_that_mail() {
        let mut buckets = buckets(CapLimits { global_minute: 40, user_minute: 1, ..wide() });
        let (one, other) = (UserId(1), UserId(2));
        buckets.grant(0, &[one, other]);
        let answers = buckets.grant(120 * SECOND, &[one, one, one, other]);
        assert_eq!(answers[0], Grant::Granted);
        for refused in &answers[1..3] {
            assert!(matches!(refused, Grant::Refused { cap: CapKind::UserMinute, .. }), "{refused:?}");
        }
        assert_eq!(answers[3], Grant::Granted, "the second and last global token was not taken by a refused mail");
    }

    #[test]
    fn the_slowest_of_the_short_caps_is_named_with_its_wait() {
        let mut buckets = buckets(CapLimits { global_hour: 1, user_minute: 1, ..wide() });
        let hour = Grant::Refused { cap: CapKind::GlobalHour, wait: Duration::from_secs(3_605) };
        assert_eq!(buckets.grant(0, &[UserId(1)]), [hour]);
    }

    #[test]
    fn each_user_has_buckets_of_its_own() {
        let mut buckets = buckets(CapLimits { user_minute: 1, ..wide() });
        buckets.grant(0, &[UserId(1)]);
        let answers = buckets.grant(65 * SECOND, &[UserId(1), UserId(2)]);
        assert_eq!(answers[0], Grant::Granted);
        let wait = Duration::from_secs(65);
        assert_eq!(answers[1], Grant::Refused { cap: CapKind::UserMinute, wait }, "its own bucket is cold");
    }

    #[test]
    fn the_fleets_buckets_are_one_for_all_users() {
        let mut buckets = buckets(CapLimits { global_minute: 1, ..wide() });
        buckets.grant(0, &[UserId(1), UserId(2)]);
        let answers = buckets.grant(65 * SECOND, &[UserId(1), UserId(2)]);
        let wait = Duration::from_secs(65);
        assert_eq!(answers, [Grant::Granted, Grant::Refused { cap: CapKind::GlobalMinute, wait }]);
    }
}
