//! This module computes the smallest settings that carry a given load.
//!
//! Two sums must fit. The mails must fit into 7/8 of the usual window, over which they are spread. Mails and
//! replies together must fit into the whole window, so that replies do not queue behind the mails.

use std::time::Duration;

use serde::Serialize;

use super::{
    Settings,
    capacity::{Cap, DAY, HOUR, MINUTE, WINDOW},
    table::LARGEST_CAP,
};

/// The average time for which a free lane waits for its batch.
const GATHERING: Duration = Duration::from_millis(150);

/// The load that a fleet must send in a day.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub mails: u64,
    pub replies: u64,
    /// The mails of the user with the most mailboxes.
    pub user_mails: u64,
    pub user_replies: u64,
    pub workers: u32,
    /// The average duration of a mail at its host.
    pub mail: Duration,
}

/// A setting that is too low.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Need {
    pub setting: &'static str,
    pub value: u32,
    /// The smallest sufficient value, or `None` if no legal value suffices.
    pub needed: Option<u32>,
}

impl Settings {
    /// Returns the caps and lanes that do not carry `load` in a day, with sufficient values.
    pub fn needs(&self, load: &Load) -> Vec<Need> {
        let fleet = [
            ("WARMUP_GLOBAL_HOURLY_LIMIT", self.global_hourly_limit, HOUR),
            ("WARMUP_GLOBAL_MINUTE_LIMIT", self.global_minute_limit, MINUTE),
        ];
        let user = [
            ("WARMUP_USER_HOURLY_LIMIT", self.user_hourly_limit, HOUR),
            ("WARMUP_USER_MINUTE_LIMIT", self.user_minute_limit, MINUTE),
        ];
        let of_fleet = fleet.map(|cap| self.cap_needed(cap, load.mails, load.replies));
        let of_user = user.map(|cap| self.cap_needed(cap, load.user_mails, load.user_replies));
        of_fleet.into_iter().chain(of_user).chain([self.lanes_needed(load)]).filter(Need::is_more).collect()
    }

    pub(super) fn cap_needed(
        &self,
        (setting, value, window): (&'static str, u32, Duration),
        mails: u64,
        replies: u64,
    ) -> Need {
        let cap = Cap { limit: value, window, burst: self.cap_burst };
        let spread = cap.least_limit(mails, DAY, LARGEST_CAP);
        let whole = cap.least_limit(mails + replies, WINDOW, LARGEST_CAP);
        Need { setting, value, needed: spread.zip(whole).map(|(spread, whole)| spread.max(whole)) }
    }

    fn lanes_needed(&self, load: &Load) -> Need {
        let turn = (self.stagger_min + self.stagger_max) / 2 + load.mail + GATHERING;
        let lanes = |mails: u64, time: Duration| turn.as_secs_f64() * mails as f64 / time.as_secs_f64();
        let lanes = lanes(load.mails, DAY).max(lanes(load.mails + load.replies, WINDOW));
        let needed = (lanes / f64::from(load.workers.max(1))).ceil();
        Need {
            setting: "WARMUP_MAX_CONCURRENT",
            value: self.max_concurrent,
            needed: (needed <= 10_000.0).then_some(needed as u32),
        }
    }
}

impl Need {
    fn is_more(&self) -> bool {
        self.needed.is_none_or(|needed| needed > self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::settings;

    fn load(mails: u64, users: u64, workers: u32) -> Load {
        let replies = mails * 35 / 100;
        let (user_mails, user_replies) = (mails / users, replies / users);
        Load { mails, replies, user_mails, user_replies, workers, mail: Duration::from_millis(567) }
    }

    #[test]
    fn the_defaults_carry_a_small_fleet() {
        assert_eq!(settings(&[]).needs(&load(1_440, 1, 1)), []);
    }

    #[test]
    fn what_is_too_low_is_named_with_the_least_that_is_enough() {
        let needs = settings(&[]).needs(&load(3_000_000, 1_000, 10));
        let told: Vec<_> = needs.iter().map(|need| (need.setting, need.value, need.needed)).collect();
        assert_eq!(
            told,
            [
                ("WARMUP_GLOBAL_HOURLY_LIMIT", 10_000, Some(533_644)),
                ("WARMUP_GLOBAL_MINUTE_LIMIT", 200, Some(9_622)),
                ("WARMUP_USER_HOURLY_LIMIT", 500, Some(533)),
                ("WARMUP_MAX_CONCURRENT", 20, Some(53)),
            ]
        );
    }

    #[test]
    fn what_no_setting_carries_has_none_that_is_enough() {
        let needs = settings(&[("WARMUP_CAP_BURST", "1")]).needs(&load(30_000, 10, 1));
        assert!(needs.iter().any(|need| need.setting == "WARMUP_GLOBAL_HOURLY_LIMIT" && need.needed.is_none()));
    }
}
