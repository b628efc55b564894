//! A laptop that slept in the middle of the window: its leases are past when it wakes, nothing was begun meanwhile, and
//! what the day owes goes out by the end of the active hours, within all caps.

use std::collections::BTreeMap;

use warmup::domain::id::UserId;
use warmup_support::rolling::assert_never_more;

use crate::{
    fleet::{Day, LIMITS, Scenario, simulate},
    one_day::{assert_true_numbers, calm},
    trouble::Outage,
};

const MINUTE: i64 = 60_000_000;

/// 08:45 on the simulated day, in microseconds.
const BEGINS: i64 = 1_795_509_900_000_000;

/// From when to when the lid is closed, in minutes after 08:45.
type Naps = &'static [(i64, i64)];

/// 12:00 to 15:30; 11:15 to 17:45, past the window's end; twice in a day.
const NAPS: [Naps; 3] = [&[(195, 405)], &[(150, 540)], &[(60, 150), (300, 420)]];

fn slept(seed: u64, naps: Naps) -> Day {
    let outages = naps.iter().map(|(from, to)| (Outage::Asleep, *from * 60, *to * 60)).collect();
    simulate(&Scenario { outages, ..calm(seed) })
}

fn assert_within_caps(grants: &[(i64, UserId)]) {
    let all: Vec<i64> = grants.iter().map(|(at, _)| *at).collect();
    assert_never_more(&all, LIMITS.global_minute, MINUTE);
    assert_never_more(&all, LIMITS.global_hour, 60 * MINUTE);
    let mut users: BTreeMap<UserId, Vec<i64>> = BTreeMap::new();
    grants.iter().for_each(|(at, user)| users.entry(*user).or_default().push(*at));
    for times in users.values() {
        assert_never_more(times, LIMITS.user_minute, MINUTE);
        assert_never_more(times, LIMITS.user_hour, 60 * MINUTE);
    }
}

#[test]
fn a_day_that_was_slept_through_in_its_middle_is_made_up_by_the_evening() {
    for (seed, naps) in (1..).zip(NAPS) {
        let day = slept(seed, naps);
        assert_true_numbers(&day);
        assert!(day.days.iter().all(|(_, row)| row.sent == 30 && row.reserved == 30), "{naps:?}: {:?}", day.days);
        assert_within_caps(&day.grants);
        let last = day.grants.iter().map(|(at, _)| at - BEGINS).max().unwrap();
        assert!(last < (13 * 60 + 15) * MINUTE, "{naps:?}: a mail began {} min after 08:45, past 22:00", last / MINUTE);
    }
}

#[test]
fn nothing_is_begun_before_the_machine_wakes_and_has_its_leases_again() {
    let (from, to) = NAPS[0][0];
    let day = slept(4, NAPS[0]);
    let (before, after): (Vec<i64>, Vec<i64>) =
        day.grants.iter().map(|(at, _)| at - BEGINS).partition(|at| *at <= from * MINUTE);
    assert!(before.len() > 300, "{} mails went before the nap", before.len());
    let first = after.into_iter().min().unwrap();
    assert!(
        (to * MINUTE..(to + 1) * MINUTE).contains(&first),
        "the next one began {} s after 08:45",
        first / 1_000_000
    );
}
