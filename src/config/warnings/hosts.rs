//! This module checks that the limits of the mail hosts carry the daily quotas of the mailboxes on them.

use std::time::Duration;

use super::only_if;
use crate::{
    config::{
        Settings, Warning,
        capacity::{Cap, DAY, HOUR, MAIL, MINUTE},
    },
    domain::{
        caps::DAY_BURST,
        hosts::{HostLimit, HostLimits},
    },
};

const NAME: &str = "WARMUP_HOST_LIMITS_FILE";

const WHOLE_DAY: Duration = Duration::from_secs(24 * 3600);

/// The load of the mailboxes on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLoad {
    /// The host in lower case.
    pub host: String,
    pub mailboxes: u64,
    /// The sum of the quotas in mails per day.
    pub quota: u64,
}

impl Settings {
    /// Returns a warning, with the arithmetic, for each limit of a mail host that is too low. The limit must
    /// carry the daily quotas of its mailboxes in 7 of the 8 hours of the usual window.
    pub fn warnings_for_hosts(&self, limits: &HostLimits, loads: &[HostLoad]) -> Vec<Warning> {
        let limited = loads.iter().filter_map(|load| Some((load, limits.get(&load.host)?)));
        limited.flat_map(|(load, limit)| of_host(self, load, limit)).collect()
    }
}

fn of_host(s: &Settings, load: &HostLoad, limit: &HostLimit) -> Vec<Warning> {
    let cap = |limit, window, burst| Cap { limit, window, burst };
    [
        limit.minute.map_or_else(Vec::new, |limit| rate(load, cap(limit, MINUTE, s.cap_burst), "a minute")),
        limit.hour.map_or_else(Vec::new, |limit| rate(load, cap(limit, HOUR, s.cap_burst), "an hour")),
        limit.day.map_or_else(Vec::new, |limit| rate(load, cap(limit, WHOLE_DAY, DAY_BURST), "a day")),
        limit.connections.map_or_else(Vec::new, |most| connections(load, most)),
    ]
    .concat()
}

fn rate(load: &HostLoad, cap: Cap, period: &str) -> Vec<Warning> {
    let carries = by_night(cap) + cap.carries(DAY);
    let text = || {
        let mut sum = format!("one token every {:.3} s", cap.token().as_secs_f64());
        if cap.window == WHOLE_DAY {
            sum += &format!(" and {} filled by night", by_night(cap));
        }
        format!(
            "{}, but its {} {period} is {sum}, {carries} in 7 h (7/8 of a window of 8 h); {}",
            owed(load),
            cap.limit,
            instead(load, carries)
        )
    };
    only_if(carries < load.quota, NAME, text)
}

/// Returns the tokens that the bucket of a day gains in the hours without sending.
fn by_night(cap: Cap) -> u64 {
    let filled = cap.carries(WHOLE_DAY - DAY).min(u64::from(cap.burst()));
    if cap.window == WHOLE_DAY { filled } else { 0 }
}

fn connections(load: &HostLoad, most: u32) -> Vec<Warning> {
    let carries = u64::from(most) * (DAY.as_secs() / MAIL.as_secs());
    let text = || {
        format!(
            "{}, but its {most} connection(s) carry {carries} in 7 h (7/8 of a window of 8 h) at 2 s a mail; {}",
            owed(load),
            instead(load, carries)
        )
    };
    only_if(carries < load.quota, NAME, text)
}

fn owed(load: &HostLoad) -> String {
    format!("the {} mailbox(es) on {} owe {} mails a day", load.mailboxes, load.host, load.quota)
}

fn instead(load: &HostLoad, carries: u64) -> String {
    let fit = (carries * load.mailboxes).checked_div(load.quota).unwrap_or(0);
    format!("{fit} mailbox(es) of that quota would fit, or correct the limit if the host allows more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::tests::settings, domain::hosts::read};

    fn warnings(limits: &str, mailboxes: u64, quota: u64) -> Vec<String> {
        let loads = [
            HostLoad { host: "smtp.example.org".into(), mailboxes, quota },
            HostLoad { host: "other.test".into(), mailboxes: 9_000, quota: 270_000 },
        ];
        let limits = HostLimits::with(read(limits).unwrap());
        settings(&[]).warnings_for_hosts(&limits, &loads).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_rate_that_does_not_carry_the_quota_shows_the_sum() {
        let all = warnings("smtp.example.org rate=100/hour\n", 48, 1_440);
        let [hour] = &all[..] else { panic!("{all:#?}") };
        assert_eq!(
            hour,
            "WARMUP_HOST_LIMITS_FILE: the 48 mailbox(es) on smtp.example.org owe 1440 mails a day, but its 100 an hour \
             is one token every 37.947 s, 664 in 7 h (7/8 of a window of 8 h); 22 mailbox(es) of that quota would fit, \
             or correct the limit if the host allows more"
        );
        assert_eq!(warnings("smtp.example.org rate=100/hour\n", 22, 660), [""; 0]);
    }

    #[test]
    fn a_day_s_limit_fills_by_night() {
        let all = warnings("*.example.org rate=500/day\n", 10, 300);
        let [day] = &all[..] else { panic!("{all:#?}") };
        assert!(
            day.contains("its 500 a day is one token every 288.017 s and 200 filled by night, 287 in 7 h"),
            "{day}"
        );
        assert_eq!(warnings("*.example.org rate=500/day\n", 9, 270), [""; 0]);
        let all = warnings("*.example.org rate=1/day\n", 1, 30);
        assert!(all[0].contains("0 in 7 h"), "no token comes by night where one takes longer: {all:?}");
    }

    #[test]
    fn connections_are_held_against_two_seconds_a_mail() {
        let all = warnings("smtp.example.org connections=1\n", 500, 15_000);
        let [connections] = &all[..] else { panic!("{all:#?}") };
        assert!(connections.contains("its 1 connection(s) carry 12600 in 7 h"), "{connections}");
        assert!(connections.contains("420 mailbox(es) of that quota would fit"), "{connections}");
    }

    #[test]
    fn hosts_without_a_limit_are_never_warned_of() {
        assert_eq!(warnings("smtp.example.org unlimited\n", 9_000, 270_000), [""; 0]);
        assert_eq!(warnings("", 9_000, 270_000), [""; 0]);
    }
}
