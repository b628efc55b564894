//! How a day is going, in one word with its reason: judged by what failed, and by what should have gone by now.

use serde::Serialize;
use utoipa::ToSchema;

/// From so many attempts a day on, the share that failed says something.
const JUDGED_FROM: i64 = 50;

/// The worst first: its order is the gauge's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Critical,
    Degraded,
    Healthy,
}

/// A day's sums until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    pub sent: i64,
    /// Mails that the plan wants to have gone by now.
    pub planned: i64,
    /// Mails and replies whose end is known, or known to stay unknown.
    pub attempts: i64,
    /// Of those, refused or uncertain.
    pub failed: i64,
}

impl Day {
    /// Judges the day: critical over 20 % failed or below 50 % of the plan, degraded over 10 % or below 80 %.
    pub fn health(&self) -> (Health, String) {
        let by_plan = match () {
            () if self.sent * 100 < self.planned * 50 => Health::Critical,
            () if self.sent * 100 < self.planned * 80 => Health::Degraded,
            () => Health::Healthy,
        };
        let by_failures = match () {
            () if self.attempts < JUDGED_FROM => Health::Healthy,
            () if self.failed * 100 > self.attempts * 20 => Health::Critical,
            () if self.failed * 100 > self.attempts * 10 => Health::Degraded,
            () => Health::Healthy,
        };
        let Day { sent, planned, attempts, failed } = self;
        let plan = format!("{sent} sent, {planned} planned by now");
        let failures = format!("{failed} of {attempts} attempts failed today");
        let reason = match by_plan.cmp(&by_failures) {
            std::cmp::Ordering::Less => plan,
            std::cmp::Ordering::Greater => failures,
            std::cmp::Ordering::Equal => format!("{plan}; {failures}"),
        };
        (by_plan.min(by_failures), reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(sent: i64, planned: i64, attempts: i64, failed: i64) -> Health {
        Day { sent, planned, attempts, failed }.health().0
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
    fn the_reason_is_that_of_the_worse() {
        let told = |sent, planned, attempts, failed| Day { sent, planned, attempts, failed }.health().1;
        assert_eq!(told(10, 100, 60, 7), "10 sent, 100 planned by now");
        assert_eq!(told(100, 100, 60, 7), "7 of 60 attempts failed today");
        assert_eq!(told(100, 100, 60, 0), "100 sent, 100 planned by now; 0 of 60 attempts failed today");
    }
}
