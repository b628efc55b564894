//! `Circle` computes the planned partners within one circle of a day's roster from its levels and their
//! shifts.
//!
//! Levels are nested and keep their order, so the distance between two members only shrinks from level to
//! level. Therefore shifts that grow from a set of members to a smaller set never repeat a partner. Within
//! one set of members it is enough that the shifts differ. The order of preference is: shifts of at least the
//! size of the largest owner's group (always another owner), then of at least the largest domain's, then any.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    ops::Range,
};

use super::{
    super::id::{MailboxId, UserId},
    RosterEntry,
};

/// The members that are paired with each other.
#[derive(Debug)]
pub(super) struct Circle {
    /// Ordered by user, domain, mailbox.
    members: Vec<RosterEntry>,
    position: HashMap<MailboxId, u32>,
    /// The members with quota >= k, by position, for each k at which that set changes.
    plateaus: BTreeMap<u16, Vec<u32>>,
    /// The shift of level k at `shifts[k - 1]`, or `None` if its members use fallback partners.
    shifts: Vec<Option<usize>>,
}

impl Circle {
    pub(super) fn new(mut members: Vec<RosterEntry>) -> Circle {
        members.sort_by(|a, b| (a.user, &a.domain, a.mailbox).cmp(&(b.user, &b.domain, b.mailbox)));
        let position = members.iter().zip(0..).map(|(member, at)| (member.mailbox, at)).collect();
        let plateaus = plateaus(&members);
        let shifts = shifts(&members, &plateaus);
        Circle { members, position, plateaus, shifts }
    }

    pub(super) fn members(&self) -> &[RosterEntry] {
        &self.members
    }

    /// Returns the members that belong to `user`.
    pub(super) fn members_of(&self, user: UserId) -> &[RosterEntry] {
        let first = self.members.partition_point(|member| member.user < user);
        let count = self.members[first..].partition_point(|member| member.user == user);
        &self.members[first..first + count]
    }

    /// Returns the planned partner of the `k`-th attempt (from 1) of `mailbox`, or `None` if it must use a
    /// fallback partner.
    pub(super) fn planned(&self, mailbox: MailboxId, k: u16) -> Option<MailboxId> {
        let at = *self.position.get(&mailbox)?;
        let shift = (*self.shifts.get(usize::from(k).checked_sub(1)?)?)?;
        let level = self.level(k)?;
        // In the level of all members the place equals the position in the order.
        let place = if level.len() == self.members.len() { at as usize } else { level.binary_search(&at).ok()? };
        let partner = level[(place + shift) % level.len()];
        Some(self.members[partner as usize].mailbox)
    }

    fn level(&self, k: u16) -> Option<&Vec<u32>> {
        self.plateaus.range(..=k).next_back().map(|(_, level)| level)
    }
}

/// Returns the number of attempts after which a member of a circle of `members` has used all other members
/// once. A day has at most `u16::MAX` attempts, so a larger circle has one round.
pub(super) fn attempts_per_round(members: usize) -> u16 {
    u16::try_from(members.saturating_sub(1)).unwrap_or(u16::MAX).max(1)
}

/// Returns the sets of members with quota >= k, keyed by the first k of each set.
fn plateaus(members: &[RosterEntry]) -> BTreeMap<u16, Vec<u32>> {
    let mut quotas: Vec<u16> = members.iter().map(|m| m.quota).filter(|quota| *quota > 0).collect();
    quotas.sort_unstable();
    quotas.dedup();
    let firsts = std::iter::once(1).chain(quotas.iter().map(|quota| quota + 1));
    let level = |k| members.iter().zip(0u32..).filter(move |(m, _)| m.quota >= k).map(|(_, at)| at).collect();
    firsts.map(|k| (k, level(k))).collect()
}

/// Chooses the shift of each level, in the order of preference that the module header explains.
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
            // A smaller set may use only shifts longer than all before; a new round may use all shifts again.
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

/// The shifts of a level that are longer than `floor`, in the order of preference. Shifts that cross owners
/// and domains come first, then those that cross the smaller of both groups, then the rest; each class
/// ascends.
///
/// A shift crosses groups of at most `g` members if it is at least `g` in both directions around the circle.
/// So each class is an interval around the middle without the class before, and no list of all shifts is
/// needed.
#[derive(Debug, Default)]
pub(super) struct ShiftOrder {
    /// The intervals in the order of preference.
    ranges: [Range<usize>; 5],
}

impl ShiftOrder {
    pub(super) fn new(members: usize, largest_groups: [usize; 2], floor: usize) -> ShiftOrder {
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

/// Returns the parts of `outer` before and after `inner`; all of `outer` if `inner` is empty.
fn around(inner: &Range<usize>, outer: &Range<usize>) -> [Range<usize>; 2] {
    if inner.is_empty() { [outer.clone(), 0..0] } else { [outer.start..inner.start, inner.end..outer.end] }
}

/// The group number of each member, assigned once, because each level counts its groups.
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
