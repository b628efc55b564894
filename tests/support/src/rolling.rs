//! This module checks rolling windows over the instants of grants, exactly.

/// Returns the shortest time in microseconds that contains `limit` + 1 of `instants`, or `None` if there are
/// fewer.
pub fn tightest(instants: &[i64], limit: u32) -> Option<i64> {
    let mut sorted = instants.to_vec();
    sorted.sort_unstable();
    sorted.windows(limit as usize + 1).map(|run| run[run.len() - 1] - run[0]).min()
}

/// Asserts that no rolling window of `window` microseconds, including both ends, contains more than `limit`
/// instants.
pub fn assert_never_more(instants: &[i64], limit: u32, window: i64) {
    if let Some(time) = tightest(instants, limit) {
        assert!(time > window, "{} of {} grants lie within {time} us, {limit} may", limit + 1, instants.len());
    }
}
