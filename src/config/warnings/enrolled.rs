//! This module checks that the caps, the lanes and the cooldown carry the daily quotas of the enrolled
//! mailboxes.
//!
//! One function finds the settings that are too low. Every place that knows the enrolment shows its findings:
//! the import, the start of `run` and `local`, `warmup status`, `warmup config check` and the dashboard. Each
//! finding names the setting, the arithmetic, and the line that would carry the day.

use std::{collections::BTreeMap, time::Duration};

use super::{lanes_in_words, only_if};
use crate::{
    config::{
        Settings, Warning,
        capacity::{self, Cap, DAY, HOUR, MAIL, MINUTE},
    },
    domain::enrolment::DEFAULT_REPLY_RATE,
};

/// The largest legal `WARMUP_MAX_CONCURRENT`.
const MOST_LANES: u64 = 10_000;

/// The mailboxes of one owner that take part in the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerLoad {
    pub mailboxes: u64,
    /// The mails per day when all mailboxes are warmed up.
    pub quota: u64,
}

/// The enrolled mailboxes by owner: the load for caps and lanes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnrolledLoad(BTreeMap<String, OwnerLoad>);

impl EnrolledLoad {
    /// Adds mailboxes to an owner.
    pub fn add(&mut self, owner: &str, load: OwnerLoad) {
        let known = self.0.entry(owner.to_owned()).or_default();
        known.mailboxes += load.mailboxes;
        known.quota += load.quota;
    }

    /// Returns the number of owners.
    pub fn owners(&self) -> usize {
        self.0.len()
    }

    /// Returns the sum over all owners.
    pub fn total(&self) -> OwnerLoad {
        let add = |sum: OwnerLoad, load: &OwnerLoad| OwnerLoad {
            mailboxes: sum.mailboxes + load.mailboxes,
            quota: sum.quota + load.quota,
        };
        self.0.values().fold(OwnerLoad::default(), add)
    }

    /// Returns the owner with the most mails a day; of equal owners the first by name.
    pub fn largest(&self) -> Option<(&str, OwnerLoad)> {
        let largest = self.0.iter().max_by(|(a, x), (b, y)| x.quota.cmp(&y.quota).then_with(|| b.cmp(a)));
        largest.map(|(owner, load)| (owner.as_str(), *load))
    }

    fn owners_above(&self, quota: u64) -> usize {
        self.0.values().filter(|load| load.quota > quota).count()
    }
}

impl FromIterator<(String, OwnerLoad)> for EnrolledLoad {
    fn from_iter<T: IntoIterator<Item = (String, OwnerLoad)>>(owners: T) -> EnrolledLoad {
        let mut enrolled = EnrolledLoad::default();
        owners.into_iter().for_each(|(owner, load)| enrolled.add(&owner, load));
        enrolled
    }
}

impl Settings {
    /// Returns a warning, with the arithmetic and the line to set, for each cap and for the lanes that are
    /// too low. They must carry the day of the enrolled mailboxes in 7 of the 8 hours of the usual window.
    /// Warns also of a cooldown that does not fit a mailbox of mean quota.
    pub fn warnings_for(&self, enrolled: &EnrolledLoad) -> Vec<Warning> {
        let all = enrolled.total();
        let mean_quota = all.quota.checked_div(all.mailboxes).unwrap_or(0);
        let fleet = [
            ("WARMUP_GLOBAL_HOURLY_LIMIT", self.global_hourly_limit, HOUR),
            ("WARMUP_GLOBAL_MINUTE_LIMIT", self.global_minute_limit, MINUTE),
        ];
        let of_fleet = fleet.map(|cap| self.short_cap(cap, all.quota, |_| load_in_words("the fleet", all)));
        let of_lanes = [lanes(self, all), cooldown(self, mean_quota, "the mean quota")];
        [of_fleet.concat(), self.warnings_for_owners(enrolled), of_lanes.concat()].concat()
    }

    /// Returns the warnings of `warnings_for` about the caps of a user: an owner without other rights may see
    /// only these.
    pub fn warnings_for_owners(&self, enrolled: &EnrolledLoad) -> Vec<Warning> {
        let Some((owner, load)) = enrolled.largest() else { return Vec::new() };
        let user = [
            ("WARMUP_USER_HOURLY_LIMIT", self.user_hourly_limit, HOUR),
            ("WARMUP_USER_MINUTE_LIMIT", self.user_minute_limit, MINUTE),
        ];
        let words = |carries: u64| match enrolled.owners_above(carries) {
            0 | 1 => load_in_words(&format!("user {owner}"), load),
            above => load_in_words(&format!("user {owner} (the largest of {above} users above this cap)"), load),
        };
        user.map(|cap| self.short_cap(cap, load.quota, words)).concat()
    }

    /// Returns the warning that a cap is too low for `mails` a day. `words` describes the load from the
    /// number that the cap carries.
    fn short_cap(
        &self,
        (name, limit, window): (&'static str, u32, Duration),
        mails: u64,
        words: impl Fn(u64) -> String,
    ) -> Vec<Warning> {
        let cap = Cap { limit, window, burst: self.cap_burst };
        let carries = cap.carries(DAY);
        if carries >= mails {
            return Vec::new();
        }
        let rate = match limit {
            0 => "0 lets none through".to_owned(),
            _ => format!("{limit} is one token every {:.3} s, {carries} in 7 h", cap.token().as_secs_f64()),
        };
        // Replies take tokens too: a value that carries only the mails would delay the last ones to the
        // evening.
        let replies = mails * u64::from(DEFAULT_REPLY_RATE) / 100;
        let needed = self.cap_needed((name, limit, window), mails, replies).needed;
        let instead = match needed {
            Some(needed) => format!("set {name}={needed}"),
            None => "no limit carries that at this WARMUP_CAP_BURST; lower the burst".to_owned(),
        };
        let text = format!("{}, but {rate} (7/8 of a window of 8 h); {instead}", words(carries));
        vec![Warning { needed, ..Warning::new(name, text) }]
    }
}

fn load_in_words(whose: &str, load: OwnerLoad) -> String {
    format!("{whose} has {} mailboxes that should send {} mails a day", load.mailboxes, load.quota)
}

fn lanes(s: &Settings, all: OwnerLoad) -> Vec<Warning> {
    const NAME: &str = "WARMUP_MAX_CONCURRENT";
    let carries = capacity::lanes_carry(s, DAY);
    if carries >= all.quota {
        return Vec::new();
    }
    let enough = (u64::from(s.max_concurrent) * all.quota).div_ceil(carries.max(1));
    let needed = (s.batch_delay.is_zero() && enough <= MOST_LANES).then_some(enough as u32);
    let instead = match needed {
        Some(needed) => format!("set {NAME}={needed}"),
        None => format!("{} times the lanes or workers would do", all.quota.div_ceil(carries.max(1))),
    };
    let text = format!(
        "{}, but {} carry {carries} in 7 h (7/8 of a window of 8 h); {instead}",
        load_in_words("the fleet", all),
        lanes_in_words(s),
    );
    vec![Warning { needed, ..Warning::new(NAME, text) }]
}

/// Warns if the rests between `quota` mails of one mailbox are longer than the time over which the mails are
/// spread.
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

/// Returns the minutes rounded down, so that the suggested value fits.
fn minutes(time: Duration) -> f64 {
    (time.as_secs_f64() / 6.0).floor() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::settings;

    fn load(mailboxes: u64, quota: u64) -> OwnerLoad {
        OwnerLoad { mailboxes, quota }
    }

    fn warnings_of(vars: &[(&str, &str)], owners: &[(&str, OwnerLoad)]) -> Vec<Warning> {
        let enrolled = owners.iter().map(|(owner, load)| (owner.to_string(), *load)).collect();
        settings(vars).warnings_for(&enrolled)
    }

    /// Returns the warnings for `mailboxes` with `quota` mails a day, in users of 100 mailboxes each.
    fn warnings(vars: &[(&str, &str)], quota: u64, mailboxes: u64) -> Vec<String> {
        let users: Vec<(String, OwnerLoad)> = (0..mailboxes.div_ceil(100))
            .map(|n| {
                let of_user = 100.min(mailboxes - n * 100);
                (format!("u{n}@x.org"), load(of_user, quota * of_user / mailboxes))
            })
            .collect();
        let users: Vec<(&str, OwnerLoad)> = users.iter().map(|(user, load)| (user.as_str(), *load)).collect();
        warnings_of(vars, &users).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_defaults_carry_forty_eight_mailboxes_of_one_user() {
        assert_eq!(warnings(&[], 48 * 30, 48), [""; 0]);
        assert_eq!(warnings(&[], 0, 0), [""; 0]);
    }

    #[test]
    fn caps_that_do_not_carry_the_quota_show_the_sum_and_the_line_to_set() {
        let all = warnings(&[("WARMUP_MAX_CONCURRENT", "40")], 100_000, 3_334);
        let [hour, minute] = &all[..] else { panic!("{all:#?}") };
        assert!(
            hour.contains("the fleet has 3334 mailboxes that should send") && hour.contains("66407 in 7 h"),
            "{hour}"
        );
        assert!(minute.starts_with("WARMUP_GLOBAL_MINUTE_LIMIT") && minute.contains("73661 in 7 h"), "{minute}");
        assert!(minute.contains("; set WARMUP_GLOBAL_MINUTE_LIMIT="), "{minute}");
    }

    #[test]
    fn one_owner_of_five_hundred_mailboxes_is_named_with_the_line_to_set() {
        let all = warnings_of(&[], &[("operator@localhost", load(500, 15_000))]);
        let [hour] = &all[..] else { panic!("{all:#?}") };
        assert_eq!(
            hour.to_string(),
            "WARMUP_USER_HOURLY_LIMIT: user operator@localhost has 500 mailboxes that should send 15000 mails a day, but \
             500 is one token every 7.589 s, 3320 in 7 h (7/8 of a window of 8 h); set WARMUP_USER_HOURLY_LIMIT=2668"
        );
        assert_eq!(hour.line().as_deref(), Some("WARMUP_USER_HOURLY_LIMIT=2668"));
    }

    #[test]
    fn following_the_advice_silences_the_warnings_and_no_smaller_value_does() {
        let owners = [("ann@x.org", load(900, 27_000)), ("ben@x.org", load(3_000, 90_000))];
        let all = warnings_of(&[], &owners);
        let names: Vec<&str> = all.iter().map(|warning| warning.name).collect();
        assert_eq!(
            names,
            [
                "WARMUP_GLOBAL_HOURLY_LIMIT",
                "WARMUP_GLOBAL_MINUTE_LIMIT",
                "WARMUP_USER_HOURLY_LIMIT",
                "WARMUP_USER_MINUTE_LIMIT",
                "WARMUP_MAX_CONCURRENT"
            ]
        );
        assert!(all[2].text.contains("user ben@x.org (the largest of 2 users above this cap)"), "{}", all[2]);
        let lines: Vec<String> = all.iter().filter_map(Warning::line).collect();
        let vars: Vec<(&str, &str)> = lines.iter().map(|line| line.split_once('=').unwrap()).collect();
        assert_eq!(warnings_of(&vars, &owners), []);
    }

    #[test]
    fn an_owner_below_the_cap_is_not_named_for_another() {
        let all = warnings_of(&[], &[("ann@x.org", load(500, 15_000)), ("ben@x.org", load(48, 1_440))]);
        let [hour] = &all[..] else { panic!("{all:#?}") };
        assert!(hour.text.contains("user ann@x.org has 500 mailboxes"), "{hour}");
        let of_ben = [("ben@x.org".to_owned(), load(48, 1_440))].into_iter().collect();
        assert_eq!(settings(&[]).warnings_for_owners(&of_ben), []);
    }

    #[test]
    fn lanes_that_do_not_carry_the_quota_show_the_sum() {
        let all = warnings(&[("WARMUP_MAX_CONCURRENT", "1")], 6_000, 200);
        let [lanes] = &all[..] else { panic!("{all:#?}") };
        assert!(lanes.contains("1 lane(s) x 1 worker(s) at 5.0 s a mail"), "{lanes}");
        assert!(lanes.contains("5040 in 7 h") && lanes.contains("set WARMUP_MAX_CONCURRENT=2"), "{lanes}");
    }

    #[test]
    fn workers_count_only_when_there_may_be_several() {
        let many = [("WARMUP_MAX_CONCURRENT", "1"), ("WARMUP_WORKER_COUNT", "2")];
        assert_eq!(warnings(&many, 6_000, 200).len(), 1);
        let fleet = [&many[..], &[("WARMUP_DISTRIBUTED_MODE", "true")]].concat();
        assert_eq!(warnings(&fleet, 6_000, 200), [""; 0]);
    }

    #[test]
    fn a_cooldown_is_held_against_the_mean_quota() {
        let all = warnings_of(&[("WARMUP_USER_HOURLY_LIMIT", "5000")], &[("ann@x.org", load(48, 100 * 48))]);
        let [cooldown] = &all[..] else { panic!("{all:#?}") };
        assert!(cooldown.text.contains("the mean quota 100 needs 99 x 6.5 min"), "{cooldown}");
        assert!(cooldown.text.contains("a mean cooldown of 4.2 min would fit"), "{cooldown}");
    }
}
