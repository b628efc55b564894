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
//! a single mailbox, its members walk over partners they have not used ([`Pairing::fallback_partners`]); when a member has used
//! everybody, a new round begins (a pool of 20 owes 30).
//!
//! What fails: a partner that is paused, a mailbox enrolled after the roster was made, an attempt beyond the quota. All
//! of them walk. Balance is promised without faults; that no pair is repeated needlessly is held by the database.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    ops::Range,
    sync::Arc,
};

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
    members: Vec<RosterEntry>,
    position: HashMap<MailboxId, u32>,
    /// Members with quota >= k, by position, for each k at which that set changes.
    plateaus: BTreeMap<u16, Vec<u32>>,
    /// `shifts[k - 1]`: the shift of level k, or `None` where its members walk.
    shifts: Vec<Option<usize>>,
}

impl Pairing {
    /// Orders the roster and fixes the day's shifts. The same members in any order give the same pairs.
    pub fn new(mut members: Vec<RosterEntry>) -> Pairing {
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
        let shift = (*self.shifts.get(usize::from(k).checked_sub(1)?)?)?;
        let level = self.level(k)?;
        // Everybody's place in the level of all is the one in the order.
        let place = if level.len() == self.len() { at as usize } else { level.binary_search(&at).ok()? };
        let partner = level[(place + shift) % level.len()];
        Some(Partner { mailbox: self.members[partner as usize].mailbox, round: self.round(k) })
    }

    /// Returns partners of this round for a `k`-th attempt that can't be served by its level, best first: everybody else
    /// once, starting at a place that `dice` chooses, other owners before other domains before the rest. At most `most`,
    /// out of the next 8 x `most` places, so that a pool of 100,000 is not sorted for one mail.
    pub fn fallback_partners(&self, mailbox: MailboxId, k: u16, dice: u64, most: usize) -> Vec<Partner> {
        let n = self.members.len();
        if n == 0 {
            return Vec::new();
        }
        let own = self.position.get(&mailbox).map(|at| &self.members[*at as usize]);
        let nearness = |m: &RosterEntry| match own {
            Some(own) => 2 * usize::from(m.user == own.user) + usize::from(m.domain == own.domain),
            None => 0,
        };
        let start = place_below(dice, n);
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

    /// Returns the round of the k-th attempt.
    fn round(&self, k: u16) -> u16 {
        k.saturating_sub(1) / attempts_per_round(self.members.len())
    }

    fn level(&self, k: u16) -> Option<&Vec<u32>> {
        self.plateaus.range(..=k).next_back().map(|(_, level)| level)
    }
}

/// Returns after how many attempts a member of a roster of `members` has used all others once. A day has at most
/// `u16::MAX` attempts, so a larger roster has one round.
fn attempts_per_round(members: usize) -> u16 {
    u16::try_from(members.saturating_sub(1)).unwrap_or(u16::MAX).max(1)
}

/// Returns the sets of members with quota >= k, keyed by the first k of each.
fn plateaus(members: &[RosterEntry]) -> BTreeMap<u16, Vec<u32>> {
    let mut quotas: Vec<u16> = members.iter().map(|m| m.quota).filter(|quota| *quota > 0).collect();
    quotas.sort_unstable();
    quotas.dedup();
    let firsts = std::iter::once(1).chain(quotas.iter().map(|quota| quota + 1));
    let level = |k| members.iter().zip(0u32..).filter(move |(m, _)| m.quota >= k).map(|(_, at)| at).collect();
    firsts.map(|k| (k, level(k))).collect()
}

/// Chooses the shift of each level, in the order that the module's head explains.
fn shifts(members: &[RosterEntry], plateaus: &BTreeMap<u16, Vec<u32>>) -> Vec<Option<usize>> {
    let owners = Groups::new(members.iter().map(|member| member.user));
    let domains = Groups::new(members.iter().map(|member| &*member.domain));
    let most = members.iter().map(|m| m.quota).max().unwrap_or(0);
    let attempts = attempts_per_round(members.len());
    let mut chosen = Vec::with_capacity(usize::from(most));
    let (mut longest, mut unused) = (0, ShiftOrder::default());
    for k in 1..=most {
        let is_new_round = (k - 1) % attempts == 0;
        if plateaus.contains_key(&k) || is_new_round {
            // A smaller set may only use longer shifts than any before; a new round may use all again.
            longest = if is_new_round { 0 } else { longest };
            let level = plateaus.range(..=k).next_back().map_or(&[][..], |(_, level)| level);
            unused = ShiftOrder::new(level.len(), [owners.largest(level), domains.largest(level)], longest);
        }
        let shift = unused.next();
        longest = longest.max(shift.unwrap_or(0));
        chosen.push(shift);
    }
    chosen
}

/// The shifts of a level that are longer than a floor, in the order of preference: those that cross owners and domains
/// first, then those that cross the smaller of both groups, then the rest; each class ascending.
///
/// A shift crosses groups of at most `g` members if it is at least `g` in both directions around the circle. So each
/// class is an interval around the middle without the one before it, and no list of all shifts is needed.
#[derive(Debug, Default)]
struct ShiftOrder {
    /// In the order of preference.
    ranges: [Range<usize>; 5],
}

impl ShiftOrder {
    fn new(members: usize, largest_groups: [usize; 2], floor: usize) -> ShiftOrder {
        let [owner, domain] = largest_groups;
        let crossing = |group: usize| if 2 * group <= members { group..members - group + 1 } else { 0..0 };
        let (inner, outer, all) = (crossing(owner.max(domain)), crossing(owner.min(domain)), 1..members.max(1));
        let [below, above] = around(&inner, &outer);
        let [least, most] = around(&outer, &all);
        let ranges = [inner, below, above, least, most].map(|range| range.start.max(floor + 1)..range.end);
        ShiftOrder { ranges }
    }
}

impl Iterator for ShiftOrder {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.ranges.iter_mut().find_map(Iterator::next)
    }
}

/// Returns the parts of `outer` before and after `inner`; all of it if `inner` is empty.
fn around(inner: &Range<usize>, outer: &Range<usize>) -> [Range<usize>; 2] {
    if inner.is_empty() { [outer.clone(), 0..0] } else { [outer.start..inner.start, inner.end..outer.end] }
}

/// The group of each member, numbered once, because each level counts its groups.
struct Groups {
    numbers: Vec<usize>,
    count: usize,
}

impl Groups {
    fn new<K: Hash + Eq>(keys: impl Iterator<Item = K>) -> Groups {
        let mut known = HashMap::new();
        let numbers = keys
            .map(|key| {
                let next = known.len();
                *known.entry(key).or_insert(next)
            })
            .collect();
        Groups { numbers, count: known.len() }
    }

    /// Returns the size of the largest group within `level`.
    fn largest(&self, level: &[u32]) -> usize {
        let mut sizes = vec![0; self.count];
        level.iter().for_each(|at| sizes[self.numbers[*at as usize]] += 1);
        sizes.into_iter().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
