//! A `Bucket` counts the tokens of one cap: an integer level and the instant up to which it was filled.
//!
//! All times are in microseconds, so that the numbers are exact both here and as the doubles of Redis' Lua.

use thiserror::Error;

/// The slack added to each window, because a mail arrives later than its grant. A grant expires after 3 s and
/// a mail takes less than 2 s. So a mail host's window covers grants of a window that is longer by at most
/// this.
pub const SLACK_MICROS: i64 = 5_000_000;

/// The maximum level: half of 2^53, below which a double counts every integer, so that sums stay exact too.
const EXACT_MICROS: i64 = 1 << 52;

/// The furthest instant in a caller's future up to which a stored time is believed. Callers overtake each
/// other, by minutes of a day clock that runs fast. A time further ahead was stored before its clock was set
/// back. [`DEVIATION_MICROS`] detects a smaller step of a server's own clock.
pub const FUTURE_MICROS: i64 = 600_000_000;

/// The allowed difference between the service's clock and a caller's expectation: a request may take that
/// long.
pub const DEVIATION_MICROS: i64 = 2_000_000;

/// The length of a cap's rolling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    Day,
    Hour,
    Minute,
}

impl Period {
    /// Returns the length of the window in microseconds.
    pub fn micros(self) -> i64 {
        match self {
            Period::Day => 86_400_000_000,
            Period::Hour => 3_600_000_000,
            Period::Minute => 60_000_000,
        }
    }
}

/// A limit that can't be counted exactly.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error(
    "a cap of {limit} with WARMUP_CAP_BURST {burst} can't be counted exactly: set the burst between 0 and 1 and the limit \
     to what a mail server could ever take"
)]
pub struct CapOutOfRange {
    limit: u32,
    burst: f64,
}

/// The size of a bucket and the time in which it gains a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    capacity_micros: i64,
    token_micros: i64,
}

impl Rate {
    /// Computes the rate of at most `limit` mails in any `period`; the share `burst` of the limit may go at
    /// once.
    ///
    /// Returns an error if `burst` is not within 0 to 1, or if a number exceeds what a double holds exactly.
    pub fn new(limit: u32, period: Period, burst: f64) -> Result<Rate, CapOutOfRange> {
        let fault = CapOutOfRange { limit, burst };
        if !(0.0..=1.0).contains(&burst) {
            return Err(fault);
        }
        let tokens = burst_tokens(limit, burst);
        let steady = (i64::from(limit) - tokens).max(1);
        let token_micros = (period.micros() + SLACK_MICROS + steady - 1) / steady;
        match tokens.checked_mul(token_micros) {
            Some(capacity_micros) if capacity_micros <= EXACT_MICROS => Ok(Rate { capacity_micros, token_micros }),
            _ => Err(fault),
        }
    }

    /// Returns the level of a full bucket: the burst tokens times the time per token.
    pub fn capacity_micros(self) -> i64 {
        self.capacity_micros
    }

    /// Returns the time in which the bucket gains one token; it is also the value of one token.
    pub fn token_micros(self) -> i64 {
        self.token_micros
    }
}

fn burst_tokens(limit: u32, burst: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number from 0 to u32::MAX: `Rate::new` checks the burst"
    )]
    let share = (f64::from(limit) * burst).floor() as i64;
    share.max(1).min(i64::from(limit))
}

/// The state of one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    level_micros: i64,
    at_micros: i64,
}

impl Bucket {
    /// Returns an unknown bucket: it holds exactly 0 and fills from `now`.
    pub fn cold(now: i64) -> Bucket {
        Bucket { level_micros: 0, at_micros: now }
    }

    /// Returns the bucket as of `now`. Time that goes back a little adds nothing, and the stored instant
    /// stays. A bucket that lies further in the future becomes cold.
    pub fn filled(self, rate: Rate, now: i64) -> Bucket {
        if self.at_micros.saturating_sub(now) > FUTURE_MICROS {
            return Bucket::cold(now);
        }
        let gained = now.saturating_sub(self.at_micros).max(0);
        let level_micros = self.level_micros.saturating_add(gained).min(rate.capacity_micros);
        Bucket { level_micros, at_micros: self.at_micros.max(now) }
    }

    /// Returns the time from `now` until a filled bucket has a token, in microseconds; 0 if it has one. A
    /// bucket that was filled up to a later instant has no token before that instant. With a limit of 0 there
    /// is never a token. The wait is then one window, because the limit may have changed after it.
    pub fn wait(self, rate: Rate, now: i64) -> i64 {
        let ahead = self.at_micros.saturating_sub(now).max(0);
        ahead.saturating_add((rate.token_micros - self.level_micros).max(0))
    }

    /// Takes one token. The caller checked that `wait` is 0.
    pub fn take(&mut self, rate: Rate) {
        self.level_micros -= rate.token_micros;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(limit: u32, burst: f64) -> Rate {
        Rate::new(limit, Period::Minute, burst).unwrap()
    }

    #[test]
    fn a_burst_is_its_share_of_the_limit_and_at_least_one() {
        for (limit, tokens) in [(0, 0), (1, 1), (2, 1), (5, 1), (39, 1), (40, 2), (200, 10), (10_000, 500)] {
            let rate = rate(limit, 0.05);
            assert_eq!(rate.capacity_micros(), tokens * rate.token_micros(), "limit {limit}");
        }
    }

    #[test]
    fn the_other_tokens_come_evenly_over_the_window_and_five_seconds() {
        for (limit, token_micros) in [(1, 65_000_000), (2, 65_000_000), (5, 16_250_000), (200, 342_106)] {
            assert_eq!(rate(limit, 0.05).token_micros(), token_micros, "limit {limit}");
        }
        assert_eq!(Rate::new(10_000, Period::Hour, 0.05).unwrap().token_micros(), 379_474);
    }

    #[test]
    fn a_burst_of_the_whole_limit_comes_back_one_a_window() {
        assert_eq!(rate(200, 1.0), Rate { capacity_micros: 200 * 65_000_000, token_micros: 65_000_000 });
    }

    #[test]
    fn what_a_double_does_not_hold_exactly_is_refused() {
        assert!(Rate::new(1_000_000, Period::Hour, 1.0).is_ok());
        assert!(Rate::new(2_000_000, Period::Hour, 1.0).is_err());
        assert!(Rate::new(u32::MAX, Period::Hour, 1.0).is_err());
        assert!(Rate::new(u32::MAX, Period::Hour, 0.5).is_ok());
        for burst in [-0.1, 1.1, f64::NAN] {
            assert!(Rate::new(200, Period::Minute, burst).is_err(), "burst {burst}");
        }
    }

    #[test]
    fn limits_around_every_power_of_two_hold_in_their_window() {
        for limit in (0..=20).flat_map(|power| [(1u32 << power) - 1, 1 << power, (1 << power) + 1]) {
            for (period, burst) in
                [(Period::Minute, 0.05), (Period::Hour, 0.05), (Period::Day, 0.5), (Period::Minute, 1.0)]
            {
                let Ok(rate) = Rate::new(limit, period, burst) else { continue };
                let most = rate.capacity_micros() / rate.token_micros() + period.micros() / rate.token_micros();
                assert!(most <= i64::from(limit.max(1)), "{limit} in a {period:?}: {most}");
            }
            assert!(Rate::new(limit, Period::Minute, 0.05).is_ok(), "{limit} a minute can be counted");
        }
    }

    #[test]
    fn time_that_goes_back_a_little_adds_nothing_and_the_instant_stays() {
        let rate = rate(200, 0.05);
        let full = Bucket::cold(0).filled(rate, 60_000_000);
        let back = full.filled(rate, 50_000_000);
        assert_eq!(back, full);
        assert_eq!(back.wait(rate, 50_000_000), 10_000_000, "a token of the future is not spent in the past");
        assert_eq!(back.filled(rate, 60_000_000).wait(rate, 60_000_000), 0);
    }

    #[test]
    fn a_bucket_of_the_future_is_cold() {
        let rate = rate(200, 0.05);
        let ahead = Bucket::cold(0).filled(rate, 3_600_000_000);
        assert_eq!(ahead.filled(rate, 3_000_000), Bucket::cold(3_000_000));
    }

    #[test]
    fn a_lower_limit_takes_effect_on_a_full_bucket() {
        let full = Bucket::cold(0).filled(rate(200, 0.5), 100_000_000);
        let none = rate(0, 0.5);
        assert_eq!(full.filled(none, 100_000_000).wait(none, 100_000_000), 65_000_000);
    }
}
