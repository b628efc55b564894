//! `Ramp` computes the quota of a mailbox from the number of days that counted.
//!
//! A new mailbox starts low and grows by a step for each earlier day on which at least half of its quota was
//! sent. A failed day leaves the quota unchanged. The count of those days is stored, so a mailbox keeps its
//! place in the ramp after a break.

/// The growth of a mailbox's quota. All fields are in mails per day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ramp {
    pub start: u16,
    pub step: u16,
    pub daily_max: u16,
}

impl Ramp {
    /// Returns the quota after `grown` days that counted: `start + grown x step`, never more than `daily_max`.
    ///
    /// A start at or above the maximum means no ramp.
    pub fn quota(&self, grown: u16) -> u16 {
        let ramp = u32::from(self.start) + u32::from(grown) * u32::from(self.step);
        u16::try_from(ramp).unwrap_or(u16::MAX).min(self.daily_max)
    }
}

impl Ramp {
    /// Returns the number of counted days after the quota is halved; the mailbox ramps up again from there.
    /// The start of a ramp is not halved, because the operator declared that amount safe.
    pub fn eased(&self, grown: u16) -> u16 {
        let half = self.quota(grown).div_ceil(2);
        match half.saturating_sub(self.start).checked_div(self.step) {
            Some(days) => days.min(grown),
            None => grown,
        }
    }
}

/// Returns true if a day with this `quota` counts for the ramp: at least half of the quota was `sent`.
pub fn day_counts(sent: u16, quota: u16) -> bool {
    quota > 0 && u32::from(sent) * 2 >= u32::from(quota)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_ramp_reaches_thirty_on_the_tenth_day() {
        let ramp = Ramp { start: 3, step: 3, daily_max: 30 };
        let week: Vec<u16> = (0..11).map(|grown| ramp.quota(grown)).collect();
        assert_eq!(week, [3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 30]);
    }

    #[test]
    fn half_a_day_counts_and_less_does_not() {
        assert!(day_counts(15, 30) && day_counts(2, 3));
        assert!(!day_counts(14, 30) && !day_counts(1, 3) && !day_counts(0, 0));
    }

    #[test]
    fn an_eased_ramp_is_at_half_its_quota_and_climbs_again() {
        let ramp = Ramp { start: 3, step: 3, daily_max: 30 };
        assert_eq!([30, 9, 4, 1, 0].map(|grown| ramp.quota(ramp.eased(grown))), [15, 15, 6, 3, 3]);
        let level = Ramp { start: 30, step: 0, daily_max: 30 };
        assert_eq!(level.eased(7), 7);
    }

    proptest! {
        #[test]
        fn easing_never_raises_a_quota(start in 0u16..200, step in 0u16..50, max in 0u16..200, grown in 0u16..500) {
            let ramp = Ramp { start, step, daily_max: max };
            let eased = ramp.quota(ramp.eased(grown));
            prop_assert!(eased <= ramp.quota(grown));
            prop_assert!(step == 0 || eased <= start.max(ramp.quota(grown).div_ceil(2)));
        }

        #[test]
        fn a_quota_never_passes_the_maximum_and_never_shrinks(
            start in 0u16..200, step in 0u16..50, daily_max in 0u16..200, grown in 0u16..u16::MAX,
        ) {
            let ramp = Ramp { start, step, daily_max };
            prop_assert!(ramp.quota(grown) <= daily_max);
            prop_assert!(ramp.quota(grown) <= ramp.quota(grown.saturating_add(1)));
            if start >= daily_max {
                prop_assert_eq!(ramp.quota(0), daily_max);
            }
        }
    }
}
