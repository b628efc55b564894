//! This module defines when a login breaker opens: by a share of the mailboxes, not by a time.
//!
//! One refusal may be caused by one mailbox's wrong password. If the host refused half of the mailboxes that
//! tried, and accepted none since, the cause is not a single mailbox. A warm-up sends one mail per mailbox
//! and quarter of an hour, so the count has no time limit. Only a mail that passes AUTH resets it.
//!
//! ```text
//! an owner's breaker    the mailboxes of one owner at one host, port and security: it pauses only these
//! the common breaker    all mailboxes of a host: it pauses all of them. One owner gives at most half of the
//!                       refusals that it needs, the other owners together give the rest
//! ```
//!
//! A refusal counts for both breakers. The passwords belong to the owner, so one owner's refusals say nothing
//! about other owners' mailboxes. Many refusals of one owner and a single wrong password of another owner
//! pause no third owner.
//!
//! Only this file holds the constants. `close.sql` gets them as parameters.

/// The percentage of the host's recently trying mailboxes that must be refused.
pub const REFUSED_SHARE_PERCENT: usize = 50;
/// The minimum number of refusals. Two are never enough: a host with one or two mailboxes has no breaker,
/// because its failure can't be told from theirs.
pub const REFUSALS_LEAST: usize = 3;
/// The maximum number of refusals, without a success between. At a large host half would be thousands of
/// disabled mailboxes.
pub const REFUSALS_MOST: usize = 5;
/// The refused mailboxes of one owner that the common breaker stores before it opens. The bound limits the
/// row of a host that refuses all mailboxes of one owner. `close.sql` has it as ten times [`REFUSALS_MOST`].
pub const REFUSALS_STORED: usize = 10 * REFUSALS_MOST;

/// Returns the number of refused mailboxes that opens the breaker of a host at which `tried` mailboxes tried.
pub fn refusals_to_open(tried: usize) -> usize {
    (tried * REFUSED_SHARE_PERCENT).div_ceil(100).clamp(REFUSALS_LEAST, REFUSALS_MOST)
}

/// Returns the number of refused mailboxes that must belong to other owners than the one with the most
/// refusals. The common breaker needs `needed` refusals; the result is half of them, at least two.
/// `close.sql` has it as `ceil(n / 2)`.
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
