//! This module computes the planned mails of a whole day at each sample time, for comparison with the mails
//! that were sent.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    progress::PlannedShare,
    time::{Span, next_tick},
};

/// The distance between two sample times.
pub const STEP: TimeDelta = TimeDelta::minutes(15);

/// The parts of one mail in which shares are summed, so that the mailboxes' roundings are not lost.
const PARTS: i128 = 1_000_000_000_000;

/// The mailboxes that have the same window today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cohort {
    pub window: Span,
    /// Their summed quota of today, in mails.
    pub quota: i64,
}

/// Returns the planned number of whole mails of all cohorts together by `at`.
pub fn planned(cohorts: &[Cohort], at: DateTime<Utc>) -> i64 {
    let parts = |cohort: &Cohort| {
        let (part, whole) = PlannedShare::at(at, cohort.window).fraction();
        i128::from(cohort.quota) * i128::from(part) * PARTS / i128::from(whole)
    };
    i64::try_from(cohorts.iter().map(parts).sum::<i128>() / PARTS).unwrap_or(i64::MAX)
}

/// Returns the quarters of an hour from before the first window opens until after the last one has closed.
/// Returns none without mailboxes.
pub fn sample_times(cohorts: &[Cohort]) -> Vec<DateTime<Utc>> {
    let first = cohorts.iter().map(|cohort| cohort.window.start).min();
    let last = cohorts.iter().map(|cohort| cohort.window.end).max();
    let Some((first, last)) = first.zip(last) else { return Vec::new() };
    let mut moments = vec![next_tick(first, STEP) - STEP];
    while moments[moments.len() - 1] < last {
        moments.push(moments[moments.len() - 1] + STEP);
    }
    moments
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-11-24T{time}:00Z").parse().unwrap()
    }

    fn cohort(start: &str, end: &str, quota: i64) -> Cohort {
        Cohort { window: Span { start: at(start), end: at(end) }, quota }
    }

    #[test]
    fn a_curve_is_the_sum_of_all_plans() {
        let both = [cohort("09:00", "17:00", 28), cohort("12:00", "20:00", 28)];
        assert_eq!(planned(&both, at("09:00")), 0);
        assert_eq!(planned(&both, at("12:00")), 12);
        assert_eq!(planned(&both, at("13:00")), 16 + 4);
        assert_eq!(planned(&both, at("23:00")), 56);
    }

    #[test]
    fn its_moments_hold_every_window_whole() {
        let moments = sample_times(&[cohort("09:10", "17:00", 1), cohort("12:00", "20:05", 1)]);
        assert_eq!((moments[0], moments[moments.len() - 1]), (at("09:00"), at("20:15")));
        assert_eq!(moments.len(), 46);
        assert!(sample_times(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn a_curve_never_falls_and_ends_at_what_is_owed(quotas in proptest::collection::vec(0i64..500, 1..9)) {
            let cohorts: Vec<_> = quotas.iter().map(|quota| cohort("09:00", "16:43", *quota)).collect();
            let curve: Vec<_> = sample_times(&cohorts).into_iter().map(|at| planned(&cohorts, at)).collect();
            prop_assert!(curve.is_sorted());
            prop_assert_eq!(curve.last().copied(), Some(quotas.iter().sum()));
        }
    }
}
