//! This module computes the number of mails that the caps and the lanes carry in a day; the warnings use it.
//!
//! A mailbox's mails are spread over the first 7/8 of its window. So a fleet in one time zone sends its day
//! in 7 of the usual 8 hours. Mails that do not fit there are late, even if the rest of the day has room.

use std::time::Duration;

use super::Settings;

/// The part of the usual window over which mails are spread.
pub(super) const DAY: Duration = Duration::from_secs(7 * 3600);

/// The usual sending window.
pub(super) const WINDOW: Duration = Duration::from_secs(8 * 3600);

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// The assumed duration of a mail at an unhurried mail host.
pub(super) const MAIL: Duration = Duration::from_secs(2);

/// The slack added to each window of a cap, because a mail arrives later than its grant.
const SLACK: Duration = Duration::from_secs(5);

/// A cap of at most `limit` mails in any `window`; the share `burst` of them may go at once.
#[derive(Clone, Copy)]
pub(super) struct Cap {
    pub limit: u32,
    pub window: Duration,
    pub burst: f64,
}

impl Cap {
    /// Returns the tokens that may go at once: max(1, floor(limit x burst)).
    pub(super) fn burst(self) -> u32 {
        ((f64::from(self.limit) * self.burst).floor() as u32).max(1)
    }

    /// Returns the time in which one token is gained: ceil((window + 5 s) / max(1, limit - burst)), in
    /// microseconds.
    pub(super) fn token(self) -> Duration {
        let steady = u64::from(self.limit.saturating_sub(self.burst()).max(1));
        Duration::from_micros(micros(self.window + SLACK).div_ceil(steady))
    }

    /// Returns the number of mails that the cap carries steadily in `span`.
    pub(super) fn carries(self, span: Duration) -> u64 {
        if self.limit == 0 { 0 } else { micros(span) / micros(self.token()) }
    }

    /// Returns the lowest limit up to `most` that carries `mails` in `span`.
    pub(super) fn least_limit(self, mails: u64, span: Duration, most: u32) -> Option<u32> {
        let enough = |limit: u32| Cap { limit, ..self }.carries(span) >= mails;
        let (mut low, mut high) = (0, most);
        while low < high {
            let middle = low + (high - low) / 2;
            if enough(middle) { high = middle } else { low = middle + 1 }
        }
        enough(low).then_some(low)
    }
}

/// Returns the number of sending workers: one unless the fleet is distributed.
pub(super) fn workers(settings: &Settings) -> u32 {
    if settings.distributed_mode { settings.worker_count } else { 1 }
}

/// Returns the time that a lane needs for a mail and the rest after it.
pub(super) fn turn(settings: &Settings) -> Duration {
    (settings.stagger_min + settings.stagger_max) / 2 + MAIL
}

/// Returns the number of mails that all lanes carry in `span`.
pub(super) fn lanes_carry(settings: &Settings, span: Duration) -> u64 {
    let workers = u64::from(workers(settings));
    let by_lanes = workers * u64::from(settings.max_concurrent) * micros(span) / micros(turn(settings));
    if settings.batch_delay.is_zero() {
        return by_lanes;
    }
    let batch = u64::from(settings.batch_size.min(settings.max_concurrent));
    by_lanes.min(workers * batch * micros(span) / micros(settings.batch_delay))
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(limit: u32, window: Duration) -> Cap {
        Cap { limit, window, burst: 0.05 }
    }

    #[test]
    fn a_cap_carries_less_than_its_limit() {
        assert_eq!(cap(200, MINUTE).token(), Duration::from_micros(342_106));
        assert_eq!(cap(200, MINUTE).carries(MINUTE), 175);
        assert_eq!(cap(10_000, HOUR).carries(DAY), 66_407);
        assert_eq!((cap(1, MINUTE).carries(HOUR), cap(0, MINUTE).carries(HOUR)), (55, 0));
    }

    #[test]
    fn the_least_limit_is_enough_and_one_less_is_not() {
        for mails in [1, 30, 1_440, 100_000, 3_000_000] {
            let least = cap(0, HOUR).least_limit(mails, DAY, 1_000_000).unwrap();
            assert!(cap(least, HOUR).carries(DAY) >= mails, "{mails}");
            assert!(cap(least - 1, HOUR).carries(DAY) < mails, "{mails}");
        }
        assert_eq!(Cap { limit: 0, window: HOUR, burst: 1.0 }.least_limit(1_000, DAY, 1_000_000), None);
    }
}
