//! This module sets two limits: how much a day's roster may differ from the mailboxes, and how many mails a
//! mailbox may receive.
//!
//! The roster is a snapshot, so that every worker computes the same pairs. A snapshot becomes outdated:
//! mailboxes are enrolled, paused and resumed during the day. Two rules bound the effect:
//!
//! - the roster is rebuilt when more than one in twenty of its mailboxes changed ([`is_outdated`]); in a
//!   fleet of up to twenty mailboxes any change rebuilds it;
//! - regardless of the roster, each reserve takes one of the mails that the partner may still receive on its
//!   own day ([`receive_bound`]).

/// The roster is rebuilt when more than one in this many mailboxes joined, left, or changed owner or
/// verification. A rebuild changes the partners of all mailboxes. So a single new mailbox in a large fleet
/// waits for others, and uses fallback partners meanwhile.
pub const REMADE_AT_ONE_IN: u32 = 20;

/// The mails that a mailbox may receive on a day beyond its quota. The pairs give each mailbox about as many
/// mails as it sends; fallback partners add some. Ten is a third of a full quota of 30, and more than a
/// healthy fleet needs.
pub const RECEIVE_MARGIN: u16 = 10;

/// Returns true if the roster must be rebuilt after `changed` mailboxes joined, left or moved; `larger` is
/// the size of the larger one of the old and the new roster.
pub fn is_outdated(changed: usize, larger: usize) -> bool {
    changed.saturating_mul(REMADE_AT_ONE_IN as usize) > larger
}

/// Returns the number of mails that a mailbox with this quota may receive on a day.
pub fn receive_bound(quota: u16) -> u32 {
    u32::from(quota) + u32::from(RECEIVE_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_roster_is_remade_at_any_change_and_a_large_one_at_more_than_a_twentieth() {
        assert!(!is_outdated(0, 0) && !is_outdated(0, 5));
        assert!(is_outdated(1, 1) && is_outdated(1, 19));
        assert!(!is_outdated(1, 20) && is_outdated(2, 20));
        assert!(!is_outdated(5_000, 100_000) && is_outdated(5_001, 100_000));
    }

    #[test]
    fn the_bound_is_the_quota_and_a_margin() {
        assert_eq!((receive_bound(0), receive_bound(30), receive_bound(u16::MAX)), (10, 40, 65_545));
    }
}
