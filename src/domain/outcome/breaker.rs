//! When a login breaker opens: a share of the mailboxes, not a time.
//!
//! One refusal may be one mailbox's own wrong password. When the host has refused half of the mailboxes that tried, and
//! has let nobody in since, the cause is not one mailbox's. A warm-up sends a mail per mailbox and quarter of an hour, so
//! the count has no limit in minutes; only a mail that gets past AUTH ends it.
//!
//! ```text
//! an owner's breaker    the mailboxes of one owner at one host, port and security: it rests only these
//! the common breaker    all mailboxes of a host: it rests all of them. One owner gives at most half of the refusals that it
//!                       needs, the other owners together give the rest
//! ```
//!
//! A refusal counts for both. The passwords are the owner's, so one owner's refusals say nothing about other owners'. Many
//! refusals of one owner and a single wrong password of another owner pause no third owner.
//!
//! The constants stand here alone. `close.sql` gets them as parameters.

/// The share of the host's mailboxes that must be refused, of those that tried on the last days.
pub const REFUSED_SHARE_PERCENT: usize = 50;
/// Two refusals are never enough: a host with one or two mailboxes has no breaker, because nobody can tell its fault from
/// theirs.
pub const REFUSALS_LEAST: usize = 3;
/// At a large host half would be thousands of disabled mailboxes. So many in a row, nobody let in between, are enough.
pub const REFUSALS_MOST: usize = 5;
/// The refused mailboxes of one owner that the common breaker stores before it opens. It bounds the row of a host that lets
/// none of one owner's mailboxes in; `close.sql` has it as ten times [`REFUSALS_MOST`].
pub const REFUSALS_STORED: usize = 10 * REFUSALS_MOST;

/// Returns the number of refused mailboxes that opens the breaker of a host where `tried` mailboxes tried.
pub fn refusals_to_open(tried: usize) -> usize {
    (tried * REFUSED_SHARE_PERCENT).div_ceil(100).clamp(REFUSALS_LEAST, REFUSALS_MOST)
}

/// Returns the number of refused mailboxes that must belong to other owners than the one with the most of them, where the
/// common breaker needs `needed`. It is half of them, at least two; `close.sql` has it as `ceil(n / 2)`.
pub fn refusals_of_others(needed: usize) -> usize {
    needed.div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_those_that_tried_at_least_three_and_at_most_five() {
        let table = [(0, 3), (1, 3), (3, 3), (6, 3), (7, 4), (8, 4), (9, 5), (10, 5), (11, 5), (100_000, 5)];
        for (tried, expected) in table {
            assert_eq!(refusals_to_open(tried), expected, "{tried} tried");
        }
    }

    #[test]
    fn one_owner_gives_at_most_half_of_them() {
        assert_eq!([3, 4, 5].map(refusals_of_others), [2, 2, 3]);
    }
}
