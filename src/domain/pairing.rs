//! `Pairing` assigns each mailbox its partners of a day, without coordination between workers.
//!
//! Every worker computes the same pairs from the same stored roster. The roster is divided into *circles*.
//! One circle holds all verified mailboxes. Each owner's unverified mailboxes form a circle of their own,
//! because they exchange mails only with mailboxes of their owner. Within a circle the mailboxes are grouped
//! by owner, then by domain. *Level k* holds the members with quota >= k, in that order. The k-th partner of
//! a member stands `s_k` places further on, around the circle, within level k:
//!
//! ```text
//!   level 1   a a b b c c d d     every member sends one and receives one
//!             └───s_1 = 2─▶
//!   level 2   a   b b   c d d     members with quota >= 2, a longer shift
//!             └────s_2 = 3──▶
//! ```
//!
//! The module [`circle`] chooses the shifts. If a level has no shift left, or has a single mailbox, its
//! members use fallback partners ([`Pairing::fallback_partners`]). A new round begins when a member has used
//! all partners (a pool of 20 mailboxes with quota 30). A mailbox that is alone in its circle uses its
//! owner's mailboxes in the other circle.
//!
//! *Failures*: a paused partner, a mailbox enrolled after the roster was made, and an attempt beyond the
//! quota. In all of them the sender uses a fallback partner. The pairing guarantees balance only without
//! faults; the database prevents needless repeats of a pair.

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
    /// The mails that it must send on that day; at least 1.
    pub quota: u16,
    /// True if the mailbox exchanges mails with other owners' mailboxes.
    pub verified: bool,
}

/// A mailbox that needs a partner, with its current state; it may be missing in the roster.
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
    /// Returns this partner in the next round, for a mailbox that has no other partner left in this round.
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

    /// Returns the number of mailboxes in the roster.
    pub fn len(&self) -> usize {
        self.verified.members().len() + self.unverified.values().map(|circle| circle.members().len()).sum::<usize>()
    }

    /// Returns true if the roster is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the planned partner of the `k`-th attempt (from 1) of a sender. Returns `None` if the sender
    /// must use a fallback partner; this includes a sender whose verification changed since the roster was
    /// made.
    pub fn planned(&self, sender: PairingSender<'_>, k: u16) -> Option<Partner> {
        let circle = if sender.verified { &self.verified } else { self.unverified.get(&sender.user)? };
        Some(Partner { mailbox: circle.planned(sender.mailbox, k)?, round: self.round(sender, k) })
    }

    /// Returns fallback partners of this round for a `k`-th attempt that its level can't serve, best first.
    ///
    /// Each candidate appears once. The list starts at a place that `dice` chooses, and prefers other owners,
    /// then other domains. It has at most `most` partners out of the next 8 x `most` places of each circle.
    /// So a pool of 100,000 mailboxes is not sorted for one mail.
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
                // No later candidate ranks before these.
                if nearer[0].len() == most {
                    break;
                }
            }
        }
        let round = self.round(sender, k);
        nearer.into_iter().flatten().take(most).map(|mailbox| Partner { mailbox, round }).collect()
    }

    /// Returns the members to which a sender may write: those of its own circle, and its owner's in the other
    /// circle.
    fn reach(&self, sender: PairingSender<'_>) -> [&[RosterEntry]; 2] {
        let unverified = self.unverified.get(&sender.user).map_or(&[][..], Circle::members);
        if sender.verified {
            [self.verified.members(), unverified]
        } else {
            [unverified, self.verified.members_of(sender.user)]
        }
    }

    /// Returns the round of the k-th attempt. A round ends when a sender has used its circle; a sender that
    /// is alone in its circle uses its owner's other mailboxes.
    fn round(&self, sender: PairingSender<'_>, k: u16) -> u16 {
        let [circle, other] = self.reach(sender).map(<[RosterEntry]>::len);
        let members = if circle > 1 { circle } else { circle.saturating_add(other) };
        k.saturating_sub(1) / attempts_per_round(members)
    }
}

#[cfg(test)]
mod tests;
