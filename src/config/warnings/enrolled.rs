//! Whether the caps, the lanes and the cooldown carry what the enrolled mailboxes owe in a day.

use std::time::Duration;

use super::{lanes_in_words, only_if};
use crate::config::{
    Settings, Warning,
    carry::{self, Cap, DAY, HOUR, MAIL, MINUTE},
    table::LARGEST_CAP,
};

/// Mails a day, and who owes them.
struct Owed<'a> {
    mails: u64,
    by: &'a str,
}

impl Settings {
    /// Returns a warning, with the arithmetic, for each cap and for the lanes that can't carry what is owed in a day
    /// over 7 of the 8 hours of the usual window, and for a cooldown that a mailbox of mean quota can't keep.
    ///
    /// `enrolled_quota_per_day` is the sum of all quotas, `largest_user_quota` that of the user who owes most; both in
    /// mails a day. The warnings that need no enrolment come from `from_vars`.
    pub fn warnings_for(&self, enrolled_quota_per_day: u64, mailboxes: u64, largest_user_quota: u64) -> Vec<Warning> {
        let all = Owed { mails: enrolled_quota_per_day, by: "the enrolled mailboxes owe" };
        let user = Owed { mails: largest_user_quota, by: "the user with the most mailboxes owes" };
        let cap = |limit, window| Cap { limit, window, burst: self.cap_burst };
        let mean_quota = enrolled_quota_per_day.checked_div(mailboxes).unwrap_or(0);
        [
            carried("WARMUP_GLOBAL_HOURLY_LIMIT", cap(self.global_hourly_limit, HOUR), &all),
            carried("WARMUP_GLOBAL_MINUTE_LIMIT", cap(self.global_minute_limit, MINUTE), &all),
            carried("WARMUP_USER_HOURLY_LIMIT", cap(self.user_hourly_limit, HOUR), &user),
            carried("WARMUP_USER_MINUTE_LIMIT", cap(self.user_minute_limit, MINUTE), &user),
            lanes(self, &all),
            cooldown(self, mean_quota, "the mean quota"),
        ]
        .concat()
    }
}

fn carried(name: &'static str, cap: Cap, owed: &Owed) -> Vec<Warning> {
    let carries = cap.carries(DAY);
    let text = || {
        let instead = match cap.least_limit(owed.mails, DAY, LARGEST_CAP) {
            Some(least) => format!("raise it to {least}"),
            None => "no limit carries that at this WARMUP_CAP_BURST; lower the burst".to_owned(),
        };
        let rate = match cap.limit {
            0 => "0 lets none through".to_owned(),
            limit => format!("{limit} is one token every {:.3} s, {carries} in 7 h", cap.token().as_secs_f64()),
        };
        format!("{} {} mails a day, but {rate} (7/8 of a window of 8 h); {instead}", owed.by, owed.mails)
    };
    only_if(carries < owed.mails, name, text)
}

fn lanes(s: &Settings, owed: &Owed) -> Vec<Warning> {
    let carries = carry::lanes_carry(s, DAY);
    let text = || {
        format!(
            "{} {} mails a day, but {} carry {carries} in 7 h (7/8 of a window of 8 h); {} times the lanes or workers \
             would do",
            owed.by,
            owed.mails,
            lanes_in_words(s),
            owed.mails.div_ceil(carries.max(1)),
        )
    };
    only_if(carries < owed.mails, "WARMUP_MAX_CONCURRENT", text)
}

/// Warns when the rests between `quota` mails of one mailbox are longer than the time over which they are spread.
pub(super) fn cooldown(s: &Settings, quota: u64, named: &str) -> Vec<Warning> {
    let rests = u32::try_from(quota.saturating_sub(1)).unwrap_or(u32::MAX);
    let rest = (s.mailbox_cooldown_min + s.mailbox_cooldown_max) / 2;
    let needed = (rest + MAIL).saturating_mul(rests);
    let text = || {
        format!(
            "{named} {quota} needs {rests} x {} min of mean cooldown and 2 s a mail, {} min, but they are spread over \
             {} min (7/8 of a window of 8 h); a mean cooldown of {} min would fit",
            minutes(rest),
            needed.as_secs() / 60,
            DAY.as_secs() / 60,
            minutes((DAY / rests.max(1)).saturating_sub(MAIL)),
        )
    };
    only_if(needed > DAY, "WARMUP_MAILBOX_COOLDOWN_MAX_MS", text)
}

/// Rounded down, so that what is advised fits.
fn minutes(time: Duration) -> f64 {
    (time.as_secs_f64() / 6.0).floor() / 10.0
}

#[cfg(test)]
mod tests {
    use crate::config::tests::settings;

    fn warnings(vars: &[(&str, &str)], quota: u64, mailboxes: u64, user: u64) -> Vec<String> {
        settings(vars).warnings_for(quota, mailboxes, user).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_defaults_carry_forty_eight_mailboxes_of_one_user() {
        assert_eq!(warnings(&[], 48 * 30, 48, 48 * 30), [""; 0]);
        assert_eq!(warnings(&[], 0, 0, 0), [""; 0]);
    }

    #[test]
    fn caps_that_do_not_carry_the_quota_say_what_would() {
        let all = warnings(&[("WARMUP_MAX_CONCURRENT", "40")], 100_000, 3_334, 3_000);
        let [hour, minute] = &all[..] else { panic!("{all:#?}") };
        assert_eq!(
            hour,
            "WARMUP_GLOBAL_HOURLY_LIMIT: the enrolled mailboxes owe 100000 mails a day, but 10000 is one token every \
             0.379 s, 66407 in 7 h (7/8 of a window of 8 h); raise it to 15058"
        );
        assert!(minute.starts_with("WARMUP_GLOBAL_MINUTE_LIMIT") && minute.contains("73661 in 7 h"), "{minute}");
    }

    #[test]
    fn following_the_advice_silences_the_warning() {
        let vars = [
            ("WARMUP_MAX_CONCURRENT", "40"),
            ("WARMUP_GLOBAL_HOURLY_LIMIT", "15058"),
            ("WARMUP_GLOBAL_MINUTE_LIMIT", "272"),
        ];
        assert_eq!(warnings(&vars, 100_000, 3_334, 3_000), [""; 0]);
    }

    #[test]
    fn the_largest_user_is_held_against_the_caps_of_a_user() {
        let all = warnings(&[], 6_000, 200, 6_000);
        let [hour] = &all[..] else { panic!("{all:#?}") };
        assert!(hour.starts_with("WARMUP_USER_HOURLY_LIMIT: the user with the most mailboxes owes 6000"), "{hour}");
        assert!(hour.contains("500 is one token every 7.589 s, 3320 in 7 h"), "{hour}");
    }

    #[test]
    fn lanes_that_do_not_carry_the_quota_show_the_sum() {
        let all = warnings(&[("WARMUP_MAX_CONCURRENT", "1")], 6_000, 200, 3_000);
        let [lanes] = &all[..] else { panic!("{all:#?}") };
        assert!(lanes.contains("1 lane(s) x 1 worker(s) at 5.0 s a mail"), "{lanes}");
        assert!(lanes.contains("5040 in 7 h") && lanes.contains("2 times the lanes"), "{lanes}");
    }

    #[test]
    fn workers_count_only_when_there_may_be_several() {
        let many = [("WARMUP_MAX_CONCURRENT", "1"), ("WARMUP_WORKER_COUNT", "2")];
        assert_eq!(warnings(&many, 6_000, 200, 3_000).len(), 1);
        let fleet = [&many[..], &[("WARMUP_DISTRIBUTED_MODE", "true")]].concat();
        assert_eq!(warnings(&fleet, 6_000, 200, 3_000), [""; 0]);
    }

    #[test]
    fn a_cooldown_is_held_against_the_mean_quota() {
        let all = warnings(&[], 100 * 48, 48, 3_000);
        let [cooldown] = &all[..] else { panic!("{all:#?}") };
        assert!(cooldown.contains("the mean quota 100 needs 99 x 6.5 min"), "{cooldown}");
        assert!(cooldown.contains("a mean cooldown of 4.2 min would fit"), "{cooldown}");
    }
}
