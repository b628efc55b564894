//! This module computes days, windows and weekdays in a mailbox's own time zone.
//!
//! A mailbox's *day* is the local date in its zone; its *window* is a span of that day in minutes of local
//! time. Zones jump: 02:30 may not exist on a date, or exist twice. So every instant is defined as the first
//! moment of the date at which local time is at or after the given minute. This moment exists on every date
//! of every zone.

use std::{collections::BTreeSet, fmt, str::FromStr};

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

/// A span of a day in minutes after midnight, start included, end excluded: `09:00-17:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    start: u16,
    end: u16,
}

impl Window {
    /// The whole day, from midnight to midnight.
    pub const WHOLE_DAY: Window = Window { start: 0, end: 24 * 60 };

    /// Returns the window from `start` to `end`, minutes after midnight; `None` unless `start < end <= 24:00`.
    pub fn new(start: u16, end: u16) -> Option<Window> {
        (start < end && end <= 24 * 60).then_some(Window { start, end })
    }

    /// Returns the minutes after midnight at which the window opens.
    pub fn start(self) -> u16 {
        self.start
    }

    /// Returns the minutes after midnight at which the window closes.
    pub fn end(self) -> u16 {
        self.end
    }

    /// Returns the instants at which the window opens and closes on `day` in `zone`.
    pub fn on(self, zone: Tz, day: NaiveDate) -> Span {
        Span { start: instant(zone, day, self.start), end: instant(zone, day, self.end) }
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Window, String> {
        let wrong =
            || format!("`{text}` is not a window: write it as 09:00-17:00, start before end, not across midnight");
        let (start, end) = text.split_once('-').ok_or_else(wrong)?;
        let (start, end) = (minute(start.trim()).ok_or_else(wrong)?, minute(end.trim()).ok_or_else(wrong)?);
        Window::new(start, end).ok_or_else(wrong)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Window { start, end } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60)
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |part: &str| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(hours) || minutes.len() != 2 || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
}

/// The weekdays on which a mailbox has a window: `mon-fri`, `mon,wed,sat-sun`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekdays(u8);

impl Weekdays {
    /// Every day of the week.
    pub const ALL: Weekdays = Weekdays(0b111_1111);

    /// Returns the set with these bits, Monday lowest; `None` if it is empty or has more than seven bits.
    pub fn from_bits(bits: u8) -> Option<Weekdays> {
        (1..=0b111_1111).contains(&bits).then_some(Weekdays(bits))
    }

    /// Returns the set as bits, Monday lowest.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Returns true if `day` is in the set.
    pub fn contains(self, day: NaiveDate) -> bool {
        self.0 & (1 << day.weekday().num_days_from_monday()) != 0
    }
}

impl FromStr for Weekdays {
    type Err = String;

    fn from_str(text: &str) -> Result<Weekdays, String> {
        let wrong = || format!("`{text}` is not a list of weekdays: write mon-fri or mon,wed,sat");
        let mut bits = 0u8;
        for part in text.split(',').map(str::trim) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let day = |name: &str| name.trim().parse::<Weekday>().map_err(|_| wrong());
            let (mut at, last) = (day(first)?, day(last)?);
            bits |= 1 << at.num_days_from_monday();
            while at != last {
                at = at.succ();
                bits |= 1 << at.num_days_from_monday();
            }
        }
        Weekdays::from_bits(bits).ok_or_else(wrong)
    }
}

impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let names: Vec<&str> = (0..7).filter(|i| self.0 & (1 << i) != 0).map(|i| NAMES[i]).collect();
        f.write_str(&names.join(","))
    }
}

/// The sending times of a mailbox: its zone, its window and its weekdays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub zone: Tz,
    pub window: Window,
    pub days: Weekdays,
}

impl Schedule {
    /// Returns the span in which new mails of `day` may start: the window, and after it until `active` ends,
    /// to catch up. Returns `None` on a weekday without a window.
    pub fn sending(&self, day: NaiveDate, active: Window) -> Option<Span> {
        if !self.days.contains(day) {
            return None;
        }
        let end = self.window.end.max(active.end);
        Some(Span { start: instant(self.zone, day, self.window.start), end: instant(self.zone, day, end) })
    }
}

/// A span of time, start included, end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

impl Span {
    /// Returns true if `at` lies in the span.
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.start <= at && at < self.end
    }
}

/// Returns the local date in `zone` at `now`.
pub fn today(zone: Tz, now: DateTime<Utc>) -> NaiveDate {
    now.with_timezone(&zone).date_naive()
}

/// Returns the first instant of `day` in `zone` at which local time is `minute` after midnight or later.
///
/// In a spring-forward gap that is the moment after the jump. Of a repeated hour it is the first one. 24:00
/// is the first moment of the next date.
pub fn instant(zone: Tz, day: NaiveDate, minute: u16) -> DateTime<Utc> {
    let (day, minute) = if minute >= 24 * 60 { (day + Days::new(1), 0) } else { (day, minute) };
    let time = NaiveTime::from_num_seconds_from_midnight_opt(u32::from(minute) * 60, 0).unwrap_or_default();
    let mut wall = day.and_time(time);
    // A gap is at most a day (Apia, 30 December 2011); the loop finds its end to the minute.
    for _ in 0..=(24 * 60) {
        if let Some(at) = zone.from_local_datetime(&wall).earliest() {
            return at.with_timezone(&Utc);
        }
        wall += TimeDelta::minutes(1);
    }
    Utc.from_utc_datetime(&day.and_time(time))
}

/// The date in every time zone at one instant, in the order of `chrono_tz::TZ_VARIANTS`. Statements use it to
/// join mailboxes to their own date.
#[derive(Clone, Debug)]
pub struct LocalDates {
    pub zones: Vec<String>,
    pub days: Vec<NaiveDate>,
}

impl LocalDates {
    /// Returns the dates at `now`. This program's zone database computes them, so the one of Postgres is not
    /// used.
    pub fn at(now: DateTime<Utc>) -> LocalDates {
        let (zones, days) =
            chrono_tz::TZ_VARIANTS.iter().map(|zone| (zone.name().to_owned(), today(*zone, now))).unzip();
        LocalDates { zones, days }
    }

    /// Returns only the zones whose date at `now` differs from UTC's, with those dates, for a statement that
    /// computes UTC's date itself.
    pub fn off_utc(now: DateTime<Utc>) -> LocalDates {
        let dated = chrono_tz::TZ_VARIANTS.iter().map(|zone| (zone, today(*zone, now)));
        let off = dated.filter(|(_, day)| *day != now.date_naive());
        let (zones, days) = off.map(|(zone, day)| (zone.name().to_owned(), day)).unzip();
        LocalDates { zones, days }
    }

    /// Returns the zone and its date at `place`, counted from 1 as Postgres does.
    pub fn of_place(&self, place: i64) -> Option<(Tz, NaiveDate)> {
        let at = usize::try_from(place).ok()?.checked_sub(1)?;
        Some((*chrono_tz::TZ_VARIANTS.get(at)?, *self.days.get(at)?))
    }

    /// Returns all dates that are current somewhere: two, and at times three.
    pub fn dates(&self) -> Vec<NaiveDate> {
        self.days.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Returns the first multiple of `interval` after `now`, counted from 1970, so that all workers tick
/// together.
pub fn next_tick(now: DateTime<Utc>, interval: TimeDelta) -> DateTime<Utc> {
    let step = interval.num_microseconds().unwrap_or(i64::MAX).max(1);
    let at = (now.timestamp_micros().div_euclid(step) + 1) * step;
    DateTime::from_timestamp_micros(at).unwrap_or(now + interval)
}

#[cfg(test)]
mod tests {
    use chrono_tz::{America::Los_Angeles, Asia::Tokyo, Pacific::Apia, Pacific::Auckland};

    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_is_read_as_people_write_it() {
        assert_eq!("09:00-17:00".parse::<Window>().unwrap().to_string(), "09:00-17:00");
        assert_eq!("9:30-24:00".parse::<Window>().unwrap().to_string(), "09:30-24:00");
        for wrong in
            ["", "9-17", "17:00-09:00", "09:00-09:00", "09:60-10:00", "22:00-25:00", "aa:bb-cc:dd", "+9:00-10:00"]
        {
            assert!(wrong.parse::<Window>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_zone_is_found_at_its_place_with_its_date() {
        let todays = LocalDates::at("2026-11-24T16:00:00Z".parse().unwrap());
        let place = |zone: Tz| todays.zones.iter().zip(1..).find(|(name, _)| *name == zone.name()).unwrap().1;
        assert_eq!(todays.of_place(place(Tokyo)), Some((Tokyo, date("2026-11-25"))));
        assert_eq!(todays.of_place(place(Los_Angeles)), Some((Los_Angeles, date("2026-11-24"))));
        assert_eq!((todays.of_place(0), todays.of_place(todays.zones.len() as i64 + 1)), (None, None));
        assert_eq!(todays.dates(), [date("2026-11-24"), date("2026-11-25")]);
    }

    #[test]
    fn the_zones_off_utc_s_date_are_those_where_it_is_yesterday_or_tomorrow() {
        let now = "2026-11-24T16:00:00Z".parse().unwrap();
        let (all, off) = (LocalDates::at(now), LocalDates::off_utc(now));
        let others = all.days.iter().filter(|day| **day != date("2026-11-24")).count();
        assert_eq!((off.zones.len(), off.days.len()), (others, others));
        assert!(off.zones.contains(&Tokyo.name().to_owned()) && !off.zones.contains(&Los_Angeles.name().to_owned()));
        assert_eq!(off.dates(), [date("2026-11-25")]);
    }

    #[test]
    fn weekdays_are_read_as_people_write_them() {
        assert_eq!("mon-fri".parse::<Weekdays>().unwrap().to_string(), "mon,tue,wed,thu,fri");
        assert_eq!("Sat-Mon, wed".parse::<Weekdays>().unwrap().to_string(), "mon,wed,sat,sun");
        assert!("monday-fryday".parse::<Weekdays>().is_err());
        assert!("".parse::<Weekdays>().is_err());
    }

    #[test]
    fn a_wall_time_that_does_not_exist_becomes_the_moment_after_the_jump() {
        // Los Angeles, 14 March 2027: 02:00 PST jumps to 03:00 PDT.
        assert_eq!(instant(Los_Angeles, date("2027-03-14"), 150).to_rfc3339(), "2027-03-14T10:00:00+00:00");
        // Apia skipped the whole of 30 December 2011.
        assert_eq!(instant(Apia, date("2011-12-30"), 540).to_rfc3339(), "2011-12-30T10:00:00+00:00");
    }

    #[test]
    fn a_wall_time_that_comes_twice_is_its_first() {
        assert_eq!(instant(Los_Angeles, date("2026-11-01"), 90).to_rfc3339(), "2026-11-01T08:30:00+00:00");
    }

    #[test]
    fn days_have_their_own_length() {
        let length = |zone, day: &str| instant(zone, date(day), 24 * 60) - instant(zone, date(day), 0);
        assert_eq!(length(Los_Angeles, "2027-03-14"), TimeDelta::hours(23));
        assert_eq!(length(Los_Angeles, "2026-11-01"), TimeDelta::hours(25));
        assert_eq!(length(Auckland, "2026-09-27"), TimeDelta::hours(23));
        assert_eq!(length(Tokyo, "2026-09-27"), TimeDelta::hours(24));
    }

    #[test]
    fn ticks_fall_on_multiples_for_all() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let quarter = TimeDelta::minutes(15);
        assert_eq!(next_tick(at("2026-11-24T08:45:00Z"), quarter), at("2026-11-24T09:00:00Z"));
        assert_eq!(next_tick(at("2026-11-24T08:46:10Z"), quarter), at("2026-11-24T09:00:00Z"));
    }

    #[test]
    fn a_weekday_without_a_window_owes_nothing() {
        let schedule =
            Schedule { zone: Tokyo, window: "09:00-17:00".parse().unwrap(), days: "mon-fri".parse().unwrap() };
        let active = "07:00-22:00".parse().unwrap();
        assert!(schedule.sending(date("2026-11-22"), active).is_none());
        let span = schedule.sending(date("2026-11-23"), active).unwrap();
        assert_eq!(span.start.to_rfc3339(), "2026-11-23T00:00:00+00:00");
        assert_eq!(span.end.to_rfc3339(), "2026-11-23T13:00:00+00:00");
    }
}
