//! These tests check the due times of the maintenance jobs in every time zone.

use chrono::TimeDelta;
use chrono_tz::{
    Africa::Cairo,
    America::{Los_Angeles, Sao_Paulo, Sitka},
    Asia::Beirut,
    Asia::Tokyo,
    Pacific::Apia,
    Pacific::Auckland,
    TZ_VARIANTS,
};
use proptest::prelude::*;

use super::*;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn a_date_is_due_at_five_past_midnight_on_its_own_wall() {
    for (zone, before, after) in [
        (Los_Angeles, "2026-11-24T08:04:59Z", "2026-11-24T08:05:00Z"),
        (Tokyo, "2026-11-23T15:04:59Z", "2026-11-23T15:05:00Z"),
        (Auckland, "2026-11-23T11:04:59Z", "2026-11-23T11:05:00Z"),
    ] {
        assert_eq!(due(zone, at(before)), date("2026-11-23"), "{zone}");
        assert_eq!(due(zone, at(after)), date("2026-11-24"), "{zone}");
        assert_eq!(next_due(zone, at(before)), at(after), "{zone}");
    }
}

#[test]
fn a_date_without_five_past_midnight_is_due_when_its_wall_begins() {
    for (zone, day, begins) in [
        (Sao_Paulo, "2018-11-04", "2018-11-04T03:00:00Z"),
        (Cairo, "2026-04-24", "2026-04-23T22:00:00Z"),
        (Beirut, "2026-03-29", "2026-03-28T22:00:00Z"),
    ] {
        let begins = at(begins);
        assert_eq!(due(zone, begins - TimeDelta::seconds(1)), date(day) - Days::new(1), "{zone}");
        assert_eq!(due(zone, begins), date(day), "{zone}");
        assert_eq!(next_due(zone, begins - TimeDelta::hours(1)), begins, "{zone}");
    }
}

#[test]
fn days_of_23_and_25_hours_are_due_once_each() {
    let length = |zone, day: &str| {
        let begins = instant(zone, date(day), AT);
        next_due(zone, begins) - begins
    };
    assert_eq!(length(Los_Angeles, "2027-03-14"), TimeDelta::hours(23));
    assert_eq!(length(Los_Angeles, "2026-11-01"), TimeDelta::hours(25));
    assert_eq!(length(Auckland, "2026-09-27"), TimeDelta::hours(23));
    assert_eq!(length(Auckland, "2027-04-04"), TimeDelta::hours(25));
    assert_eq!(length(Tokyo, "2026-09-27"), TimeDelta::hours(24));
}

#[test]
fn a_date_that_a_zone_skipped_has_its_turn_all_the_same() {
    // Apia had no 30 December 2011: the 31st began at the end of the 29th.
    let begins = at("2011-12-30T10:00:00Z");
    assert_eq!(due(Apia, begins - TimeDelta::seconds(1)), date("2011-12-29"));
    assert_eq!(due(Apia, begins), date("2011-12-30"));
    assert_eq!(due(Apia, begins + TimeDelta::minutes(5)), date("2011-12-31"));
}

#[test]
fn no_day_that_may_still_be_going_on_is_taken_away() {
    let shortest = Retention { log_days: 1, metrics_days: 1 };
    // Midnight has passed in Kiritimati, while at Baker Island it is still the day before yesterday.
    let now = at("2026-11-23T10:05:00Z");
    let day = due(chrono_tz::Pacific::Kiritimati, now);
    assert_eq!(day, date("2026-11-24"));
    for duty in MaintenanceJob::ALL {
        let MaintenanceJob::Retire(kept) = duty else { continue };
        assert!(shortest.keep_from(kept, day, now) <= date("2026-11-20"), "{kept:?}");
    }
}

#[test]
fn what_is_kept_is_kept_as_long_as_is_set() {
    let retention = Retention { log_days: 90, metrics_days: 30 };
    let keep = |kept| retention.keep_from(kept, date("2026-11-24"), at("2026-11-24T00:05:00Z"));
    assert_eq!((keep(PruneTarget::Logs), keep(PruneTarget::MailboxDays)), (date("2026-08-26"), date("2026-08-26")));
    assert_eq!((keep(PruneTarget::Batches), keep(PruneTarget::Pairs)), (date("2026-10-25"), date("2026-11-21")));
}

#[test]
fn every_duty_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> = MaintenanceJob::ALL.iter().map(|duty| duty.as_str()).collect();
    assert_eq!(names.len(), MaintenanceJob::ALL.len());
}

#[test]
fn a_wall_that_goes_back_over_midnight_takes_no_date_back() {
    // Sitka, 1867: at half past three the 19th of October went back to the 18th, when Russia sold Alaska.
    let turn = at("1867-10-19T00:31:13Z");
    assert_eq!(today(Sitka, turn - TimeDelta::seconds(1)), date("1867-10-19"));
    assert_eq!(today(Sitka, turn), date("1867-10-18"));
    assert_eq!(due(Sitka, turn - TimeDelta::seconds(1)), date("1867-10-19"));
    assert_eq!(due(Sitka, turn), date("1867-10-19"));
}

fn zones() -> impl Strategy<Value = Tz> {
    (0..TZ_VARIANTS.len()).prop_map(|place| TZ_VARIANTS[place])
}

/// Generates an instant of the years for which every zone has its rules, 1970 to 2037, in seconds.
fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    (0i64..2_145_000_000).prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap())
}

proptest! {
    #[test]
    fn what_is_due_only_goes_forward(zone in zones(), now in instants(), later in 0i64..200_000) {
        prop_assert!(due(zone, now) <= due(zone, now + TimeDelta::seconds(later)));
    }

    #[test]
    fn the_next_instant_is_the_first_at_which_the_next_date_is_due(zone in zones(), now in instants()) {
        let (day, next) = (due(zone, now), next_due(zone, now));
        prop_assert!(next > now);
        prop_assert_eq!(due(zone, next - TimeDelta::seconds(1)), day);
        prop_assert_eq!(due(zone, next), day + Days::new(1));
        prop_assert!(next - now <= TimeDelta::hours(50));
    }
}
