//! This module parses numbers and durations. Each has a unit and a range, and its errors name both.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

use super::{Kind, KindDoc};

/// A whole number.
pub(in crate::config) struct Whole<T> {
    range: RangeInclusive<T>,
    unit: &'static str,
}

pub(in crate::config) fn whole<T>(range: RangeInclusive<T>, unit: &'static str) -> Whole<T> {
    Whole { range, unit }
}

impl<T: Copy + Display + FromStr + PartialOrd> Kind for Whole<T> {
    type Value = T;

    fn read(&self, text: &str) -> Result<T, &'static str> {
        // A number too large for its type has only digits; the error is "out of range", not "not a number".
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("is not a whole number");
        }
        text.parse().ok().filter(|value| self.range.contains(value)).ok_or("is out of range")
    }

    fn show(&self, value: &T) -> String {
        value.to_string()
    }

    fn facts(&self) -> KindDoc {
        let range = format!("{} to {}", self.range.start(), self.range.end());
        KindDoc {
            word: "whole number",
            unit: self.unit,
            write: format!("a whole number of {} from {range}", self.unit),
            range,
            secret: false,
        }
    }
}

/// A duration in whole units.
pub(in crate::config) struct Span {
    whole: Whole<u64>,
    unit: Duration,
}

pub(in crate::config) fn milliseconds(range: RangeInclusive<u64>) -> Span {
    Span { whole: whole(range, "milliseconds"), unit: Duration::from_millis(1) }
}

pub(in crate::config) fn minutes(range: RangeInclusive<u64>) -> Span {
    Span { whole: whole(range, "minutes"), unit: Duration::from_secs(60) }
}

impl Kind for Span {
    type Value = Duration;

    fn read(&self, text: &str) -> Result<Duration, &'static str> {
        let units = self.whole.read(text)?;
        u32::try_from(units).map(|units| self.unit * units).map_err(|_| "is out of range")
    }

    fn show(&self, value: &Duration) -> String {
        (value.as_millis() / self.unit.as_millis()).to_string()
    }

    fn facts(&self) -> KindDoc {
        KindDoc { word: "duration", ..self.whole.facts() }
    }
}

/// A number with a fraction.
pub(in crate::config) struct Decimal {
    range: RangeInclusive<f64>,
    unit: &'static str,
}

pub(in crate::config) fn decimal(range: RangeInclusive<f64>, unit: &'static str) -> Decimal {
    Decimal { range, unit }
}

impl Kind for Decimal {
    type Value = f64;

    fn read(&self, text: &str) -> Result<f64, &'static str> {
        let value: f64 = text.parse().map_err(|_| "is not a number")?;
        // No range contains NaN.
        if self.range.contains(&value) { Ok(value) } else { Err("is out of range") }
    }

    fn show(&self, value: &f64) -> String {
        format!("{value:?}")
    }

    fn facts(&self) -> KindDoc {
        let range = format!("{:?} to {:?}", self.range.start(), self.range.end());
        let write = format!("a number from {range} ({})", self.unit);
        KindDoc { word: "number", unit: self.unit, range, write, secret: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outside_its_range_is_told_from_what_is_no_number() {
        let kind = whole::<u16>(1..=4096, "shards");
        assert_eq!(kind.read("4096"), Ok(4096));
        for text in ["0", "4097", "-1", "99999999999999999999"] {
            assert_eq!(kind.read(text), Err("is out of range"), "{text}");
        }
        for text in ["", "-", "12.5", "+1", "1_000", "ten"] {
            assert_eq!(kind.read(text), Err("is not a whole number"), "{text}");
        }
    }

    #[test]
    fn a_duration_is_read_in_its_own_unit() {
        assert_eq!(milliseconds(0..=60_000).read("1500"), Ok(Duration::from_millis(1500)));
        assert_eq!(minutes(1..=60).read("15"), Ok(Duration::from_secs(900)));
        assert_eq!(minutes(1..=60).show(&Duration::from_secs(900)), "15");
        assert_eq!(milliseconds(0..=60_000).read("15s"), Err("is not a whole number"));
    }

    #[test]
    fn a_decimal_is_finite_and_in_its_range() {
        let kind = decimal(0.0..=1.0, "share of a limit");
        assert_eq!(kind.read("0.05"), Ok(0.05));
        assert_eq!(kind.show(&1.0), "1.0");
        for text in ["NaN", "inf", "-0.1", "1.01"] {
            assert_eq!(kind.read(text), Err("is out of range"), "{text}");
        }
        assert_eq!(kind.read("5%"), Err("is not a number"));
    }
}
