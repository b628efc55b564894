//! Who writes to whom, without coordination.
//!
//! Every worker computes the same pairs from the same stored roster. The roster is ordered so that one owner's, then
//! one domain's, mailboxes stand together. *Level k* holds the members with quota >= k, in that order, and the k-th
//! partner of a member stands `s_k` places further on, around the circle, within level k:
//!
//! ```text
//!   level 1   a a b b c c d d     every member sends one and receives one
//!             └───s_1 = 2─▶
//!   level 2   a   b b   c d d     those that owe a second mail, a longer shift
//!             └────s_2 = 3──▶
//! ```
//!
//! Levels are nested and keep their order, so the way from one member to another can only get shorter from level to
//! level. Shifts that grow from one set of members to a smaller one therefore never meet the same partner twice;
//! within one set of members it is enough that they differ. Preferred are shifts of at least the largest owner's group
//! (always another owner), then of at least the largest domain's, then any. When a level has no such shift left, or is
//! a single mailbox, its members walk over partners they have not used ([`Pairing::walk`]); when a member has used
//! everybody, a new round begins (a pool of 20 owes 30).
//!
//! What fails: a partner that is paused, a mailbox enrolled after the roster was made, an attempt beyond the quota. All
//! of them walk. Balance is promised without faults; that no pair is repeated needlessly is held by the database.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::id::{MailboxId, UserId};

/// A mailbox in the day's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub mailbox: MailboxId,
    pub user: UserId,
    pub domain: Arc<str>,
    /// Mails it owes that day; at least 1.
    pub quota: u16,
}

/// A partner and the round in which it counts as used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Partner {
    pub mailbox: MailboxId,
    pub round: u16,
}

impl Partner {
    /// The same partner once more, for a mailbox that has nobody left in this round.
    pub fn again(self) -> Partner {
        Partner { round: self.round + 1, ..self }
    }
}

/// The pairs of one day.
#[derive(Debug)]
pub struct Pairing {
    members: Vec<Member>,
    position: HashMap<MailboxId, u32>,
    /// Members with quota >= k, by position, for each k at which that set changes.
    plateaus: BTreeMap<u16, Vec<u32>>,
    /// `shifts[k - 1]`: the shift of level k, or `None` where its members walk.
    shifts: Vec<Option<u32>>,
}

impl Pairing {
    /// Orders the roster and fixes the day's shifts. The same members in any order give the same pairs.
    pub fn new(mut members: Vec<Member>) -> Pairing {
        members.sort_by(|a, b| (a.user, &a.domain, a.mailbox).cmp(&(b.user, &b.domain, b.mailbox)));
        let position = members.iter().zip(0..).map(|(member, at)| (member.mailbox, at)).collect();
        let plateaus = plateaus(&members);
        let shifts = shifts(&members, &plateaus);
        Pairing { members, position, plateaus, shifts }
    }

    /// How many mailboxes the roster holds.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Says whether nobody is in the roster.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns the planned partner of the `k`-th attempt (from 1) of `mailbox`; `None` where it must walk.
    pub fn planned(&self, mailbox: MailboxId, k: u16) -> Option<Partner> {
        let at = *self.position.get(&mailbox)?;
        let shift = (*self.shifts.get(usize::from(k).checked_sub(1)?)?)? as usize;
        let level = self.level(k)?;
        // Everybody's place in the level of all is the one in the order.
        let place = if level.len() == self.len() { at as usize } else { level.binary_search(&at).ok()? };
        let partner = level[(place + shift) % level.len()];
        Some(Partner { mailbox: self.members[partner as usize].mailbox, round: self.round(k) })
    }

    /// Returns partners of this round for a `k`-th attempt that can't be served by its level, best first: everybody else
    /// once, starting at a place that `dice` chooses, other owners before other domains before the rest. At most `most`,
    /// out of the next 8 x `most` places, so that a pool of 100,000 is not sorted for one mail.
    pub fn walk(&self, mailbox: MailboxId, k: u16, dice: u64, most: usize) -> Vec<Partner> {
        let n = self.members.len();
        if n == 0 {
            return Vec::new();
        }
        let own = self.position.get(&mailbox).map(|at| &self.members[*at as usize]);
        let nearness = |m: &Member| match own {
            Some(own) => 2 * usize::from(m.user == own.user) + usize::from(m.domain == own.domain),
            None => 0,
        };
        let start = ((u128::from(dice) * n as u128) >> 64) as usize;
        let places = (0..n.min(most.saturating_mul(8))).map(|i| &self.members[(start + i) % n]);
        let mut nearer: [Vec<MailboxId>; 4] = Default::default();
        for member in places.filter(|m| m.mailbox != mailbox) {
            nearer[nearness(member)].push(member.mailbox);
            // Nothing that comes later goes before these.
            if nearer[0].len() == most {
                break;
            }
        }
        let round = self.round(k);
        nearer.into_iter().flatten().take(most).map(|mailbox| Partner { mailbox, round }).collect()
    }

    /// The round of the k-th attempt: a member has used all others once after n - 1 attempts.
    fn round(&self, k: u16) -> u16 {
        let others = self.members.len().saturating_sub(1).clamp(1, usize::from(u16::MAX)) as u16;
        k.saturating_sub(1) / others
    }

    fn level(&self, k: u16) -> Option<&Vec<u32>> {
        self.plateaus.range(..=k).next_back().map(|(_, level)| level)
    }
}

/// Returns the sets of members with quota >= k, keyed by the first k of each.
fn plateaus(members: &[Member]) -> BTreeMap<u16, Vec<u32>> {
    let mut quotas: Vec<u16> = members.iter().map(|m| m.quota).filter(|quota| *quota > 0).collect();
    quotas.sort_unstable();
    quotas.dedup();
    let firsts = std::iter::once(1).chain(quotas.iter().map(|quota| quota + 1));
    let level = |k| members.iter().zip(0u32..).filter(move |(m, _)| m.quota >= k).map(|(_, at)| at).collect();
    firsts.map(|k| (k, level(k))).collect()
}

/// Chooses the shift of each level, in the order that the module's head explains.
fn shifts(members: &[Member], plateaus: &BTreeMap<u16, Vec<u32>>) -> Vec<Option<u32>> {
    let most = members.iter().map(|m| m.quota).max().unwrap_or(0);
    let others = members.len().saturating_sub(1).max(1) as u16;
    let mut chosen = Vec::with_capacity(usize::from(most));
    let (mut floor, mut used, mut order) = (0, HashSet::new(), Vec::new());
    for k in 1..=most {
        let new_round = (k - 1) % others == 0;
        if plateaus.contains_key(&k) || new_round {
            // A smaller set may only use longer shifts than any before; a new round may use all again.
            floor = if new_round { 0 } else { used.iter().copied().max().unwrap_or(floor) };
            used = HashSet::new();
            order = preferred(members, plateaus.range(..=k).next_back().map_or(&[][..], |(_, level)| level));
        }
        let shift = order.iter().copied().find(|shift| *shift > floor && !used.contains(shift));
        used.extend(shift);
        chosen.push(shift);
    }
    chosen
}

/// Returns all shifts of a level, those that cross owners first, then those that cross domains, then the rest; each
/// group ascending.
fn preferred(members: &[Member], level: &[u32]) -> Vec<u32> {
    let n = level.len() as u32;
    let at = |i: &u32| &members[*i as usize];
    let owner = largest_group(level.iter().map(|i| at(i).user));
    let domain = largest_group(level.iter().map(|i| &*at(i).domain));
    let crosses = |group: u32, shift: u32| group <= shift && shift + group <= n;
    let mut shifts: Vec<u32> = (1..n).collect();
    shifts.sort_by_key(|shift| (!crosses(owner, *shift), !crosses(domain, *shift), *shift));
    shifts
}

fn largest_group<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> u32 {
    let mut sizes: HashMap<K, u32> = HashMap::new();
    for key in keys {
        *sizes.entry(key).or_default() += 1;
    }
    sizes.into_values().max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
