//! This module chooses the mailbox that probes a host whose login breaker is open.
//!
//! One mailbox per plan tries to log in. A mailbox that never passed the login may have a wrong password
//! itself, so a mailbox with a success in its history goes first. After three failures in a row a mailbox
//! loses this rank, because its password may have changed since. Among equal mailboxes the choice changes
//! with the time of the plan.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};

use super::id::MailboxId;

/// The failures in a row after which a mailbox no longer ranks before those that never passed the login.
const TRUSTED_FAILURES: u16 = 3;

/// The open breaker that a mailbox may probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The host, or one owner's login at it; one mailbox per key probes.
    pub key: Arc<str>,
    /// True if the mailbox has sent a mail before.
    pub was_let_in: bool,
}

/// The values that decide which mailbox probes.
#[derive(Clone, Copy, Debug)]
pub struct ProbeCandidate<'a> {
    pub mailbox: MailboxId,
    /// The mails and replies since the last sent one that failed or are uncertain.
    pub failed_in_row: u16,
    pub probe: &'a Probe,
}

/// Keeps the `items` without a probe, and one item per probe key, chosen by rank at `now`.
pub fn keep_one_each<T>(
    items: &mut Vec<T>,
    now: DateTime<Utc>,
    candidate_of: impl for<'a> Fn(&'a T) -> Option<ProbeCandidate<'a>>,
) {
    let mut chosen: BTreeMap<Arc<str>, (Rank, MailboxId)> = BTreeMap::new();
    for candidate in items.iter().filter_map(&candidate_of) {
        let (rank, mailbox) = (rank(candidate, now), candidate.mailbox);
        let best = chosen.entry(Arc::clone(&candidate.probe.key)).or_insert((rank, mailbox));
        *best = (*best).max((rank, mailbox));
    }
    if chosen.is_empty() {
        return;
    }
    items.retain(|item| {
        candidate_of(item).is_none_or(|it| chosen.get(&it.probe.key).is_some_and(|(_, mailbox)| *mailbox == it.mailbox))
    });
}

type Rank = (bool, Reverse<u64>);

fn rank(candidate: ProbeCandidate<'_>, now: DateTime<Utc>) -> Rank {
    let is_trusted = candidate.probe.was_let_in && candidate.failed_in_row < TRUSTED_FAILURES;
    (is_trusted, Reverse(turn(candidate.mailbox, now)))
}

/// Mixes id and minute (SplitMix64), so that the order changes with each plan.
fn turn(mailbox: MailboxId, now: DateTime<Utc>) -> u64 {
    let minute = now.timestamp().unsigned_abs() / 60;
    let mut mixed = mailbox.0.unsigned_abs().wrapping_add(minute.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[derive(Clone)]
    struct Item {
        id: i64,
        failed_in_row: u16,
        probe: Option<Probe>,
    }

    fn item(id: i64, key: &str, was_let_in: bool) -> Item {
        Item { id, failed_in_row: 0, probe: Some(Probe { key: key.into(), was_let_in }) }
    }

    fn remaining(items: &[Item], minute: i64) -> Vec<i64> {
        let mut items = items.to_vec();
        keep_one_each(&mut items, DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(minute), |item| {
            let mailbox = MailboxId(item.id);
            item.probe.as_ref().map(|probe| ProbeCandidate { mailbox, failed_in_row: item.failed_in_row, probe })
        });
        items.iter().map(|item| item.id).collect()
    }

    #[test]
    fn one_mailbox_of_each_open_breaker_tries_and_all_others_send() {
        let free = Item { probe: None, ..item(9, "", false) };
        let items = [item(1, "a", false), item(2, "a", false), item(3, "b", false), free];
        let remaining = remaining(&items, 0);
        assert!(remaining == [1, 3, 9] || remaining == [2, 3, 9], "{remaining:?}");
    }

    #[test]
    fn a_mailbox_that_was_let_in_before_goes_first_until_it_failed_three_times() {
        let mut items: Vec<Item> = (1..=8).map(|id| item(id, "a", id == 5)).collect();
        assert!((0..60).all(|minute| remaining(&items, minute) == [5]));
        items[4].failed_in_row = 3;
        assert!((0..60).any(|minute| remaining(&items, minute) != [5]), "its password may have changed");
    }

    #[test]
    fn all_have_their_turn() {
        let items: Vec<Item> = (1..=5).map(|id| item(id, "a", true)).collect();
        let tried: BTreeSet<i64> = (0..200).flat_map(|tick| remaining(&items, tick * 15)).collect();
        assert_eq!(tried.len(), 5);
    }
}
