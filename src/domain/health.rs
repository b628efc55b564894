//! `Day::health` rates a day in one word with its reason, by the failed attempts and by the planned mails.
//!
//! A mailbox that was enrolled, resumed or started less than one cooldown ago is *starting*. It had no time
//! for a mail yet, so the rating by plan excludes it. If only such mailboxes are short, the day is starting
//! too.

use serde::Serialize;
use utoipa::ToSchema;

/// The attempts per day from which the failed share is meaningful.
const JUDGED_FROM: i64 = 50;

/// The worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Critical,
    Degraded,
    Starting,
    Healthy,
}

impl Health {
    /// Returns the value of `warmup_system_health`. A starting fleet counts as healthy, because no operator
    /// must be alerted for it.
    pub fn gauge(self) -> f64 {
        match self {
            Health::Critical => 0.0,
            Health::Degraded => 1.0,
            Health::Starting | Health::Healthy => 2.0,
        }
    }
}

/// The sums of a day up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    pub sent: i64,
    /// The mails that are planned by now.
    pub planned: i64,
    /// The mails and replies that are settled.
    pub attempts: i64,
    /// The refused and the uncertain ones of the attempts.
    pub failed: i64,
    pub starting: Starting,
}

/// The part of a day's sums that starting mailboxes have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Starting {
    pub mailboxes: i64,
    pub sent: i64,
    pub planned: i64,
}

impl Day {
    /// Rates the day: critical above 20 % failed or below 50 % of the plan, degraded above 10 % or below 80
    /// %.
    pub fn health(&self) -> (Health, String) {
        let by_plan = self.by_plan();
        let by_failures = match () {
            () if self.attempts < JUDGED_FROM => Health::Healthy,
            () if self.failed * 100 > self.attempts * 20 => Health::Critical,
            () if self.failed * 100 > self.attempts * 10 => Health::Degraded,
            () => Health::Healthy,
        };
        let Day { sent, planned, attempts, failed, starting } = self;
        let plan = match by_plan {
            Health::Starting => format!(
                "{} mailboxes were enrolled, resumed or started less than one cooldown ago; {sent} sent, {planned} planned by now",
                starting.mailboxes
            ),
            _ => format!("{sent} sent, {planned} planned by now"),
        };
        let failures = format!("{failed} of {attempts} attempts failed today");
        let reason = match by_plan.cmp(&by_failures) {
            std::cmp::Ordering::Less => plan,
            std::cmp::Ordering::Greater => failures,
            std::cmp::Ordering::Equal => format!("{plan}; {failures}"),
        };
        (by_plan.min(by_failures), reason)
    }

    fn by_plan(&self) -> Health {
        let Starting { mailboxes, sent, planned } = self.starting;
        let of_others = judged(self.sent - sent, (self.planned - planned).max(0));
        let of_all = judged(self.sent, self.planned);
        let nobody_else_owes = self.planned <= planned && self.sent <= sent;
        match of_others {
            Health::Healthy if mailboxes > 0 && (of_all < Health::Healthy || nobody_else_owes) => Health::Starting,
            by_plan => by_plan,
        }
    }
}

fn judged(sent: i64, planned: i64) -> Health {
    match () {
        () if sent * 100 < planned * 50 => Health::Critical,
        () if sent * 100 < planned * 80 => Health::Degraded,
        () => Health::Healthy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(sent: i64, planned: i64, attempts: i64, failed: i64) -> Health {
        Day { sent, planned, attempts, failed, ..Day::default() }.health().0
    }

    #[test]
    fn less_than_half_of_the_plan_is_critical_and_less_than_four_fifths_degraded() {
        assert_eq!(health(0, 0, 0, 0), Health::Healthy);
        assert_eq!(health(49, 100, 0, 0), Health::Critical);
        assert_eq!(health(50, 100, 0, 0), Health::Degraded);
        assert_eq!(health(79, 100, 0, 0), Health::Degraded);
        assert_eq!(health(80, 100, 0, 0), Health::Healthy);
    }

    #[test]
    fn failures_count_from_fifty_attempts_on() {
        assert_eq!(health(100, 100, 49, 49), Health::Healthy);
        assert_eq!(health(100, 100, 50, 11), Health::Critical);
        assert_eq!(health(100, 100, 50, 10), Health::Degraded);
        assert_eq!(health(100, 100, 50, 6), Health::Degraded);
        assert_eq!(health(100, 100, 50, 5), Health::Healthy);
    }

    #[test]
    fn a_day_is_starting_where_only_those_are_short_that_had_no_time_yet() {
        let day = |sent, planned, starting| Day { sent, planned, starting, ..Day::default() };
        let new = |sent, planned| Starting { mailboxes: 46, sent, planned };
        assert_eq!(day(0, 0, new(0, 0)).health().0, Health::Starting, "nobody else is there");
        assert_eq!(day(0, 40, new(0, 40)).health().0, Health::Starting);
        assert_eq!(day(100, 200, new(0, 100)).health().0, Health::Starting);
        assert_eq!(day(100, 110, new(0, 10)).health().0, Health::Healthy, "which is not worth a word");
        assert_eq!(day(40, 140, new(0, 40)).health().0, Health::Critical, "the others are short too");
        assert_eq!(day(0, 40, Starting::default()).health().0, Health::Critical);
        let failing = Day { attempts: 50, failed: 20, ..day(30, 60, new(0, 30)) };
        assert_eq!(failing.health().0, Health::Critical, "failures count whoever has them");
        let (_, reason) = day(0, 40, new(0, 40)).health();
        assert!(
            reason.starts_with("46 mailboxes were enrolled, resumed or started less than one cooldown ago"),
            "{reason}"
        );
    }

    #[test]
    fn the_reason_is_that_of_the_worse() {
        let told =
            |sent, planned, attempts, failed| Day { sent, planned, attempts, failed, ..Day::default() }.health().1;
        assert_eq!(told(10, 100, 60, 7), "10 sent, 100 planned by now");
        assert_eq!(told(100, 100, 60, 7), "7 of 60 attempts failed today");
        assert_eq!(told(100, 100, 60, 0), "100 sent, 100 planned by now; 0 of 60 attempts failed today");
    }
}
