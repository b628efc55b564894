//! `HostCaps` computes the caps of single mail hosts from their configured limits.

use std::time::Duration;

use super::{CapKind, CapOutOfRange, Period, Rate};
use crate::domain::hosts::{ByHost, HostLimit, HostLimits};

/// The share of a day's limit that may go at once, whatever `WARMUP_CAP_BURST` is.
///
/// A bucket also fills by night, and tokens above its burst are lost. With 8 hours of sending per day, a
/// bucket of burst b carries b + (1 - b) / 3 of the limit. This holds while the other 16 hours fill the
/// burst: b <= (1 - b) x 2 / 3. The maximum is at 0.4 and carries three fifths of the limit; 0.05 would carry
/// a third.
pub const DAY_BURST: f64 = 0.4;

/// The rates and connections that one host accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostRates {
    /// The rates in the order of `CapKind::OF_HOSTS`.
    rates: [Option<Rate>; 3],
    /// The maximum number of simultaneous connections.
    pub connections: Option<u32>,
}

impl HostRates {
    /// Computes the rates of a limit. Returns an error if one of them can't be counted exactly.
    pub fn of(limit: &HostLimit, burst: f64) -> Result<HostRates, CapOutOfRange> {
        let rate = |limit: Option<u32>, period, burst| limit.map(|limit| Rate::new(limit, period, burst)).transpose();
        Ok(HostRates {
            rates: [
                rate(limit.minute, Period::Minute, burst)?,
                rate(limit.hour, Period::Hour, burst)?,
                rate(limit.day, Period::Day, DAY_BURST)?,
            ],
            connections: limit.connections,
        })
    }

    /// Returns the rates with their kinds; a rate is `None` if it is not limited.
    pub fn iter(&self) -> impl Iterator<Item = (CapKind, Option<Rate>)> {
        CapKind::OF_HOSTS.into_iter().zip(self.rates)
    }

    fn is_none(&self) -> bool {
        self.connections.is_none() && self.rates.iter().all(Option::is_none)
    }
}

/// The caps of all hosts. By default no host has any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCaps {
    rates: ByHost<HostRates>,
    lasts_micros: i64,
}

impl HostCaps {
    /// Computes the caps of `limits`. A connection lasts at most `lasts` on the clock of the caps: the whole
    /// mail's deadline and `MARGIN`.
    ///
    /// Returns an error if a rate can't be counted exactly.
    pub fn of(limits: &HostLimits, burst: f64, lasts: Duration) -> Result<HostCaps, CapOutOfRange> {
        let rates = limits.try_map(|limit| HostRates::of(limit, burst))?;
        Ok(HostCaps { rates, lasts_micros: i64::try_from(lasts.as_micros()).unwrap_or(i64::MAX) })
    }

    /// Returns the rates of `host`, or `None` if it has no limit.
    pub fn rates(&self, host: &str) -> Option<&HostRates> {
        self.rates.get(host).filter(|rates| !rates.is_none())
    }

    /// Returns true if the connections to `host` are counted.
    pub fn counts_connections(&self, host: &str) -> bool {
        self.rates(host).is_some_and(|rates| rates.connections.is_some())
    }

    /// Returns the maximum duration of a connection in microseconds.
    pub fn lasts_micros(&self) -> i64 {
        self.lasts_micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hosts::{LARGEST_RATE, read};

    #[test]
    fn the_largest_rates_are_counted_exactly_at_any_burst() {
        let most = Some(LARGEST_RATE);
        let limit = HostLimit { minute: most, hour: most, day: most, connections: None };
        for burst in [0.0, 0.05, 0.5, 1.0] {
            assert!(HostRates::of(&limit, burst).is_ok(), "{burst}");
        }
    }

    #[test]
    fn a_day_of_eight_hours_carries_three_fifths_of_its_limit() {
        let rate = Rate::new(500, Period::Day, DAY_BURST).unwrap();
        let hour = Period::Hour.micros();
        let by_night = (16 * hour).min(rate.capacity_micros());
        let carried = (by_night + 8 * hour) / rate.token_micros();
        assert!((295..=300).contains(&carried), "{carried}");
    }

    #[test]
    fn a_host_whose_limits_are_lifted_has_none() {
        let own = read("a.org unlimited\nb.org connections=2\nc.org rate=1/day\n").unwrap();
        let caps = HostCaps::of(&HostLimits::with(own), 0.05, Duration::from_secs(60)).unwrap();
        assert!(caps.rates("a.org").is_none() && caps.rates("d.org").is_none());
        assert!(caps.counts_connections("b.org") && !caps.counts_connections("c.org"));
        assert_eq!(caps.lasts_micros(), 60_000_000);
    }
}
