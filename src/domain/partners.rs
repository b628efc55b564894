//! `shortages` checks that the pool is large enough for the quotas of its mailboxes.
//!
//! A mailbox with quota q sends to q partners a day. The pairing keeps it among *other owners'* mailboxes as
//! long as a shift leaves its own group. With n mailboxes, g of them in the largest owner's group, these are
//! the shifts from g to n - g. So the pairing guarantees another owner only for q <= n + 1 - 2g; the same
//! bound holds for domains. Beyond n - 1 mails the partners repeat within the day. These bounds hold among
//! the verified mailboxes; an unverified mailbox exchanges mails only with mailboxes of its owner. A mailbox
//! without a partner sends nothing.

use std::{collections::HashMap, fmt};

/// The number of mailboxes that a list names before it counts the rest.
const NAMED: usize = 5;

/// A mailbox that takes part in the warm-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolMember {
    pub email: String,
    /// The owner's address.
    pub owner: String,
    pub domain: String,
    /// The present or future quota in mails per day.
    pub quota: u16,
    /// True if the mailbox exchanges mails with other owners' mailboxes.
    pub verified: bool,
}

/// A shortage of partners in the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// The pool has a single mailbox.
    Lone(String),
    /// These mailboxes are unverified, or no other owner's mailbox is verified, and their owner has no other
    /// mailbox.
    Unverified(Vec<String>),
    /// The quota of these mailboxes exceeds the number of other mailboxes, so their partners repeat within
    /// the day.
    Repeats { mailboxes: Vec<String>, partners: usize },
    /// The pairing can't guarantee partners of other owners to these mailboxes, because one owner has
    /// `largest` of all mailboxes.
    Owners { mailboxes: Vec<String>, promised: usize, largest: usize },
    /// The pairing can't guarantee partners in other domains to these mailboxes, because `domain` has
    /// `largest` of all.
    Domains { mailboxes: Vec<String>, promised: usize, largest: usize, domain: String },
}

/// Returns the shortages of the pool of `members`. The owners' bound applies only if the pool has several
/// owners.
pub fn shortages(members: &[PoolMember]) -> Vec<Shortage> {
    if let [lone] = members {
        return vec![Shortage::Lone(lone.email.clone())];
    }
    let (verified, others): (Vec<&PoolMember>, Vec<&PoolMember>) = members.iter().partition(|member| member.verified);
    let mut owned: HashMap<&str, usize> = HashMap::new();
    members.iter().for_each(|member| *owned.entry(&member.owner).or_default() += 1);
    let lone = if verified.len() == 1 { &verified[..] } else { &[] };
    let apart = others.iter().chain(lone).filter(|member| owned[member.owner.as_str()] == 1);
    let apart: Vec<String> = apart.map(|member| member.email.clone()).collect();
    let mut short: Vec<Shortage> = (!apart.is_empty()).then_some(Shortage::Unverified(apart)).into_iter().collect();
    if verified.len() > 1 {
        short.extend(shortages_among(&verified));
    }
    short
}

/// Returns the shortages of a pool in which every mailbox may write to every other one.
fn shortages_among(members: &[&PoolMember]) -> Vec<Shortage> {
    let n = members.len();
    let mut short = Vec::new();
    let mut note = |promised: usize, shortage: &dyn Fn(Vec<String>) -> Shortage| {
        let owing = members.iter().filter(|member| usize::from(member.quota) > promised);
        let mailboxes: Vec<String> = owing.map(|member| member.email.clone()).collect();
        if !mailboxes.is_empty() {
            short.push(shortage(mailboxes));
        }
    };
    note(n.saturating_sub(1), &|mailboxes| Shortage::Repeats { mailboxes, partners: n - 1 });
    let owners = largest(members.iter().map(|member| member.owner.as_str()));
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

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortage::Lone(email) => write!(f, "{email} is the only mailbox: it sends nothing until there is another"),
            Shortage::Unverified(mailboxes) => write!(
                f,
                "nobody to write to: mailboxes of two owners exchange mails only if both are verified, and these are not, or \
                 no others are: {}. To verify: `warmup mailbox verify ADDRESS`",
                Names(mailboxes)
            ),
            Shortage::Repeats { mailboxes, partners } => write!(
                f,
                "too few partners: with {partners} other mailboxes these write to one more than once a day: {}",
                Names(mailboxes)
            ),
            Shortage::Owners { mailboxes, promised, largest } => write!(
                f,
                "too few partners of other owners: as one owner has {largest} mailboxes, {promised} a day are sure to \
                 go to another owner; these owe more: {}",
                Names(mailboxes)
            ),
            Shortage::Domains { mailboxes, promised, largest, domain } => write!(
                f,
                "too few partners in other domains: as {domain} has {largest} mailboxes, {promised} a day are sure to \
                 go to another domain; these owe more: {}",
                Names(mailboxes)
            ),
        }
    }
}

/// A list that names the first few entries and counts the rest.
pub struct Names<'a>(pub &'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (named, rest) = self.0.split_at(NAMED.min(self.0.len()));
        f.write_str(&named.join(", "))?;
        if rest.is_empty() { Ok(()) } else { write!(f, " and {} more", rest.len()) }
    }
}

fn promised(n: usize, largest: usize) -> usize {
    (n + 1).saturating_sub(2 * largest)
}

/// Returns the largest group and its size; of equal groups the first by name.
fn largest<K: std::hash::Hash + Ord + Copy>(keys: impl Iterator<Item = K>) -> Option<(K, usize)> {
    let mut sizes: HashMap<K, usize> = HashMap::new();
    keys.for_each(|key| *sizes.entry(key).or_default() += 1);
    sizes.into_iter().max_by(|(a, x), (b, y)| x.cmp(y).then_with(|| b.cmp(a)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a pool with `groups[n]` mailboxes of owner n, each owner with one domain.
    fn pool(groups: &[usize], quota: u16) -> Vec<PoolMember> {
        let owners = groups.iter().enumerate().flat_map(|(owner, size)| vec![owner; *size]);
        owners
            .enumerate()
            .map(|(id, owner)| PoolMember {
                email: format!("m{id}@d{owner}.example"),
                owner: format!("u{owner}@example.com"),
                domain: format!("d{owner}.example"),
                quota,
                verified: true,
            })
            .collect()
    }

    fn one_owner(groups: &[usize], quota: u16) -> Vec<PoolMember> {
        pool(groups, quota)
            .into_iter()
            .map(|member| PoolMember { owner: "u@example.com".to_owned(), ..member })
            .collect()
    }

    #[test]
    fn a_lone_mailbox_is_named_and_an_empty_pool_lacks_nothing() {
        assert_eq!(shortages(&pool(&[1], 30)), [Shortage::Lone("m0@d0.example".to_owned())]);
        assert_eq!(shortages(&[]), []);
    }

    #[test]
    fn mailboxes_that_have_nobody_to_write_to_until_they_are_verified_are_named() {
        let mut members = pool(&[2, 1, 1], 1);
        members[2].verified = false;
        let text = shortages(&members)[0].to_string();
        assert!(text.contains("no others are: m2@d1.example. To verify: `warmup mailbox verify ADDRESS`"), "{text}");
        members[3].verified = false;
        members[0].verified = false;
        // The two mailboxes of the first owner write to each other, verified or not.
        assert_eq!(shortages(&members), [Shortage::Unverified(vec!["m2@d1.example".into(), "m3@d2.example".into()])]);
        members[0].verified = true;
        members[1].verified = true;
        members[3].verified = true;
        members[2].quota = 30;
        assert!(shortages(&members).iter().all(|shortage| !matches!(shortage, Shortage::Repeats { .. })));
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
        let named = vec!["m3@d0.example".to_owned()];
        assert_eq!(
            shortages(&members),
            [
                Shortage::Repeats { mailboxes: named.clone(), partners: 19 },
                Shortage::Domains { mailboxes: named, promised: 11, largest: 5, domain: "d0.example".to_owned() },
            ]
        );
    }

    #[test]
    fn the_first_few_are_named_and_the_rest_is_counted() {
        let told = shortages(&one_owner(&[4, 3], 2))[0].to_string();
        assert!(told.contains("as d0.example has 4 mailboxes, 0 a day"), "{told}");
        assert!(told.ends_with("m0@d0.example, m1@d0.example, m2@d0.example, m3@d0.example, m4@d1.example and 2 more"));
    }
}
