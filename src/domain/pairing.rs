//! Who writes to whom, without coordination.
//!
//! Every worker computes the same pairs from the same stored roster. The roster is divided into *circles*: one of all
//! verified mailboxes, and for each owner one of its mailboxes that are not verified, because these exchange mails with
//! their owner's mailboxes only. Within a circle one owner's, then one domain's, mailboxes stand together. *Level k* holds
//! the members with quota >= k, in that order, and the k-th partner of a member stands `s_k` places further on, around the
//! circle, within level k:
//!
//! ```text
//!   level 1   a a b b c c d d     every member sends one and receives one
//!             └───s_1 = 2─▶
//!   level 2   a   b b   c d d     those that owe a second mail, a longer shift
//!             └────s_2 = 3──▶
//! ```
//!
//! When a level has no shift left ([`circle`] chooses them), or is a single mailbox, its members walk over partners they
//! have not used ([`Pairing::fallback_partners`]); when a member has used everybody, a new round begins (a pool of 20 owes
//! 30). A mailbox that is alone in its circle walks over its owner's other circle.
//!
//! What fails: a partner that is paused, a mailbox enrolled after the roster was made, an attempt beyond the quota. All
//! of them walk. Balance is promised without faults; that no pair is repeated needlessly is held by the database.

mod circle;

use std::{collections::BTreeMap, sync::Arc};

use self::circle::{Circle, attempts_per_round};
use super::{
    id::{MailboxId, UserId},
    uniform::place_below,
};

/// A mailbox in the day's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterEntry {
    pub mailbox: MailboxId,
    pub user: UserId,
    pub domain: Arc<str>,
    /// Mails it owes that day; at least 1.
    pub quota: u16,
    /// Whether it exchanges mails with other owners' mailboxes.
    pub verified: bool,
}

/// A mailbox that looks for a partner, in the roster or not, as it is now.
#[derive(Clone, Copy, Debug)]
pub struct PairingSender<'a> {
    pub mailbox: MailboxId,
    pub user: UserId,
    pub domain: &'a str,
    pub verified: bool,
}

/// A partner and the round in which it counts as used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Partner {
    pub mailbox: MailboxId,
    pub round: u16,
}

impl Partner {
    /// The same partner once more, for a mailbox that has nobody left in this round.
    pub fn in_next_round(self) -> Partner {
        Partner { round: self.round.saturating_add(1), ..self }
    }
}

/// The pairs of one day.
#[derive(Debug)]
pub struct Pairing {
    verified: Circle,
    unverified: BTreeMap<UserId, Circle>,
}

impl Pairing {
    /// Orders the roster and fixes the day's shifts. The same members in any order give the same pairs.
    pub fn new(members: Vec<RosterEntry>) -> Pairing {
        let (verified, others): (Vec<_>, Vec<_>) = members.into_iter().partition(|member| member.verified);
        let mut by_owner: BTreeMap<UserId, Vec<RosterEntry>> = BTreeMap::new();
        for member in others {
            by_owner.entry(member.user).or_default().push(member);
        }
        let unverified = by_owner.into_iter().map(|(user, members)| (user, Circle::new(members))).collect();
        Pairing { verified: Circle::new(verified), unverified }
    }

    /// How many mailboxes the roster holds.
    pub fn len(&self) -> usize {
        self.verified.members().len() + self.unverified.values().map(|circle| circle.members().len()).sum::<usize>()
    }

    /// Says whether nobody is in the roster.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the planned partner of the `k`-th attempt (from 1) of a sender; `None` where it must walk: also where it was
    /// verified, or was not, when the roster was made.
    pub fn planned(&self, sender: PairingSender<'_>, k: u16) -> Option<Partner> {
        let circle = if sender.verified { &self.verified } else { self.unverified.get(&sender.user)? };
        Some(Partner { mailbox: circle.planned(sender.mailbox, k)?, round: self.round(sender, k) })
    }

    /// Returns partners of this round for a `k`-th attempt that can't be served by its level, best first: everybody else
    /// once, starting at a place that `dice` chooses, other owners before other domains before the rest. At most `most`,
    /// out of the next 8 x `most` places of each circle, so that a pool of 100,000 is not sorted for one mail.
    pub fn fallback_partners(&self, sender: PairingSender<'_>, k: u16, dice: u64, most: usize) -> Vec<Partner> {
        let nearness =
            |m: &RosterEntry| 2 * usize::from(m.user == sender.user) + usize::from(*m.domain == *sender.domain);
        let mut nearer: [Vec<MailboxId>; 4] = Default::default();
        for members in self.reach(sender) {
            let n = members.len();
            let start = if n == 0 { 0 } else { place_below(dice, n) };
            let places = (0..n.min(most.saturating_mul(8))).map(|i| &members[(start + i) % n]);
            for member in places.filter(|m| m.mailbox != sender.mailbox) {
                nearer[nearness(member)].push(member.mailbox);
                // Nothing that comes later goes before these.
                if nearer[0].len() == most {
                    break;
                }
            }
        }
        let round = self.round(sender, k);
        nearer.into_iter().flatten().take(most).map(|mailbox| Partner { mailbox, round }).collect()
    }

    /// Returns the members that a sender may write to: those of its own circle, and those of its owner in the other.
    fn reach(&self, sender: PairingSender<'_>) -> [&[RosterEntry]; 2] {
        let unverified = self.unverified.get(&sender.user).map_or(&[][..], Circle::members);
        if sender.verified {
            [self.verified.members(), unverified]
        } else {
            [unverified, self.verified.members_of(sender.user)]
        }
    }

    /// Returns the round of the k-th attempt: one ends when a sender has used its circle, or, if it is alone there, its
    /// owner's other mailboxes.
    fn round(&self, sender: PairingSender<'_>, k: u16) -> u16 {
        let [circle, other] = self.reach(sender).map(<[RosterEntry]>::len);
        let members = if circle > 1 { circle } else { circle.saturating_add(other) };
        k.saturating_sub(1) / attempts_per_round(members)
    }
}

#[cfg(test)]
mod tests;
