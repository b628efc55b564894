//! Whether the pool is large enough for what its mailboxes owe.
//!
//! A mailbox that owes q mails writes to q partners a day. The pairing keeps it among *other owners'* mailboxes as long
//! as there are shifts that leave its own group: those from g to n - g, with n mailboxes and g the largest owner's. So
//! another owner is promised only for q <= n + 1 - 2g; the same holds for domains, and beyond n - 1 partners repeat
//! within the day. A lone mailbox sends nothing.

use std::collections::HashMap;

use super::id::{MailboxId, UserId};

/// A mailbox that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub mailbox: MailboxId,
    pub user: UserId,
    pub domain: String,
    /// What it owes, or will owe, a day.
    pub quota: u16,
}

/// Something that the pool cannot give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// There is nobody to write to.
    Lone(MailboxId),
    /// These owe more than there are other mailboxes: partners come again within the day.
    Repeats { mailboxes: Vec<MailboxId>, partners: usize },
    /// These are not promised partners of other owners only, because one owner has `largest` of all.
    Owners { mailboxes: Vec<MailboxId>, promised: usize, largest: usize },
    /// There is one owner, or too few: and these are not promised partners of other domains only.
    Domains { mailboxes: Vec<MailboxId>, promised: usize, largest: usize, domain: String },
}

/// Returns what the pool of `members` cannot give. The owners' sum is asked only where there is more than one owner.
pub fn shortages(members: &[Member]) -> Vec<Shortage> {
    if let [lone] = members {
        return vec![Shortage::Lone(lone.mailbox)];
    }
    let n = members.len();
    let mut short = Vec::new();
    let mut note = |promised: usize, shortage: &dyn Fn(Vec<MailboxId>) -> Shortage| {
        let owing = members.iter().filter(|member| usize::from(member.quota) > promised);
        let mailboxes: Vec<MailboxId> = owing.map(|member| member.mailbox).collect();
        if !mailboxes.is_empty() {
            short.push(shortage(mailboxes));
        }
    };
    note(n.saturating_sub(1), &|mailboxes| Shortage::Repeats { mailboxes, partners: n - 1 });
    let owners = largest(members.iter().map(|member| member.user));
    if let Some((_, largest)) = owners.filter(|(_, largest)| *largest < n) {
        let promised = promised(n, largest);
        note(promised, &|mailboxes| Shortage::Owners { mailboxes, promised, largest });
    }
    if let Some((domain, largest)) = largest(members.iter().map(|member| member.domain.as_str())) {
        let promised = promised(n, largest);
        let domain = domain.to_owned();
        note(promised, &|mailboxes| Shortage::Domains { mailboxes, promised, largest, domain: domain.clone() });
    }
    short
}

fn promised(n: usize, largest: usize) -> usize {
    (n + 1).saturating_sub(2 * largest)
}

/// The largest group and its size; of equal ones the first by name.
fn largest<K: std::hash::Hash + Ord + Copy>(keys: impl Iterator<Item = K>) -> Option<(K, usize)> {
    let mut sizes: HashMap<K, usize> = HashMap::new();
    keys.for_each(|key| *sizes.entry(key).or_default() += 1);
    sizes.into_iter().max_by(|(a, x), (b, y)| x.cmp(y).then_with(|| b.cmp(a)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `groups` owners with so many mailboxes each, every owner with one domain.
    fn pool(groups: &[i64], quota: u16) -> Vec<Member> {
        let owners = groups.iter().enumerate().flat_map(|(owner, size)| (0..*size).map(move |_| owner as i64));
        owners
            .enumerate()
            .map(|(id, owner)| Member {
                mailbox: MailboxId(id as i64 + 1),
                user: UserId(owner),
                domain: format!("d{owner}.example"),
                quota,
            })
            .collect()
    }

    fn one_owner(groups: &[i64], quota: u16) -> Vec<Member> {
        pool(groups, quota).into_iter().map(|member| Member { user: UserId(1), ..member }).collect()
    }

    #[test]
    fn a_lone_mailbox_is_named_and_an_empty_pool_lacks_nothing() {
        assert_eq!(shortages(&pool(&[1], 30)), [Shortage::Lone(MailboxId(1))]);
        assert_eq!(shortages(&[]), []);
    }

    #[test]
    fn six_groups_of_eight_have_thirty_three_shifts() {
        assert_eq!(shortages(&pool(&[8; 6], 33)), []);
        let short = shortages(&pool(&[8; 6], 34));
        assert!(
            matches!(&short[..], [Shortage::Owners { promised: 33, largest: 8, mailboxes }, Shortage::Domains { .. }]
            if mailboxes.len() == 48)
        );
    }

    #[test]
    fn two_groups_of_twenty_four_have_one_shift() {
        assert!(matches!(&shortages(&one_owner(&[24, 24], 30))[..],
            [Shortage::Domains { promised: 1, largest: 24, domain, .. }] if domain == "d0.example"));
        assert_eq!(shortages(&one_owner(&[24, 24], 1)), []);
    }

    #[test]
    fn only_those_who_owe_more_than_the_pool_gives_are_named() {
        let mut members = one_owner(&[5, 5, 5, 5], 11);
        assert_eq!(shortages(&members), []);
        members[3].quota = 25;
        let named = vec![MailboxId(4)];
        assert_eq!(
            shortages(&members),
            [
                Shortage::Repeats { mailboxes: named.clone(), partners: 19 },
                Shortage::Domains { mailboxes: named, promised: 11, largest: 5, domain: "d0.example".to_owned() },
            ]
        );
    }
}
