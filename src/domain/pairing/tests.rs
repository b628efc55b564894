//! These tests check each statement of the module header for many pools.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::{circle::ShiftOrder, *};

/// Returns a pool of `groups` (owner, domain, count); `quota` gives the quota of each mailbox by its number.
fn pool(groups: &[(i64, &str, usize)], quota: impl Fn(usize) -> u16) -> Vec<RosterEntry> {
    let each = groups.iter().flat_map(|(user, domain, count)| (0..*count).map(move |_| (*user, *domain)));
    each.zip(0..)
        .map(|((user, domain), i)| RosterEntry {
            mailbox: MailboxId(i as i64 + 1),
            user: UserId(user),
            domain: domain.into(),
            quota: quota(i),
            verified: true,
        })
        .collect()
}

/// Returns a member as a sender.
fn sender(member: &RosterEntry) -> PairingSender<'_> {
    PairingSender { mailbox: member.mailbox, user: member.user, domain: &member.domain, verified: member.verified }
}

/// Returns a verified mailbox of the first owner in its first domain, as in the pools of `same`.
fn numbered(mailbox: i64) -> PairingSender<'static> {
    PairingSender { mailbox: MailboxId(mailbox), user: UserId(1), domain: "a.test", verified: true }
}

fn same(n: usize, quota: u16) -> Vec<RosterEntry> {
    pool(&[(1, "a.test", n)], |_| quota)
}

/// Serves every member up to its quota, by plan or by fallback, as the database does.
fn serve(members: &[RosterEntry]) -> Vec<(MailboxId, Partner, bool)> {
    let pairing = Pairing::new(members.to_vec());
    let mut pairs = Vec::new();
    for member in members {
        let mut used = HashSet::new();
        for k in 1..=member.quota {
            let planned = pairing.planned(sender(member), k);
            let walk = || {
                let round = pairing.fallback_partners(sender(member), k, u64::from(k) << 58, usize::MAX);
                round.clone().into_iter().chain(round.into_iter().map(Partner::in_next_round))
            };
            let fresh = planned.into_iter().find(|p| !used.contains(p));
            let by_plan = fresh.is_some();
            let partner = fresh.or_else(|| walk().find(|p| !used.contains(p)));
            let Some(partner) = partner else { continue };
            assert_ne!(partner.mailbox, member.mailbox, "nobody writes to itself");
            assert!(used.insert(partner));
            pairs.push((member.mailbox, partner, by_plan));
        }
    }
    pairs
}

fn received(pairs: &[(MailboxId, Partner, bool)]) -> HashMap<MailboxId, u16> {
    let mut received = HashMap::new();
    for (_, partner, _) in pairs {
        *received.entry(partner.mailbox).or_default() += 1;
    }
    received
}

fn assert_balanced(members: &[RosterEntry]) {
    let pairs = serve(members);
    let received = received(&pairs);
    for member in members {
        assert_eq!(received.get(&member.mailbox), Some(&member.quota), "{:?}", member.mailbox);
    }
}

fn repeats(members: &[RosterEntry]) -> usize {
    let pairs = serve(members);
    let distinct: HashSet<_> = pairs.iter().map(|(from, to, _)| (from, to.mailbox)).collect();
    pairs.len() - distinct.len()
}

#[test]
fn forty_eight_in_six_domains_always_cross_the_domain() {
    let domains: Vec<(i64, &str, usize)> = ["a", "b", "c", "d", "e", "f"].iter().map(|d| (1, *d, 8)).collect();
    let members = pool(&domains, |_| 30);
    let domain: HashMap<_, _> = members.iter().map(|m| (m.mailbox, m.domain.clone())).collect();
    assert!(serve(&members).iter().all(|(from, to, planned)| *planned && domain[from] != domain[&to.mailbox]));
    assert_balanced(&members);
    assert_eq!(repeats(&members), 0);
}

#[test]
fn owners_small_enough_are_always_crossed() {
    // g <= (n + 1 - quota) / 2: 5 x 8 + 10 = 50 mailboxes, largest owner 10, quota 30.
    let owners: Vec<(i64, &str, usize)> =
        [(1, "a", 8), (2, "b", 8), (3, "c", 8), (4, "d", 8), (5, "e", 8), (6, "f", 10)].to_vec();
    let members = pool(&owners, |_| 30);
    let user: HashMap<_, _> = members.iter().map(|m| (m.mailbox, m.user)).collect();
    assert!(serve(&members).iter().all(|(from, to, _)| user[from] != user[&to.mailbox]));
    assert_balanced(&members);
}

#[test]
fn two_halves_have_one_crossing_shift_and_stay_balanced() {
    let members = pool(&[(1, "a", 24), (2, "b", 24)], |_| 30);
    let user: HashMap<_, _> = members.iter().map(|m| (m.mailbox, m.user)).collect();
    let crossing = serve(&members).iter().filter(|(from, to, _)| user[from] != user[&to.mailbox]).count();
    // All mails of one shift, and most of those of the longest other shifts.
    assert!(crossing >= 48, "{crossing}");
    let first = Pairing::new(members.clone());
    assert!(members.iter().all(|m| user[&first.planned(sender(m), 1).unwrap().mailbox] != m.user));
    assert_balanced(&members);
    assert_eq!(repeats(&members), 0);
}

#[test]
fn small_pools_begin_a_new_round_only_when_everybody_was_used() {
    for (n, quota) in [(2, 30), (3, 30), (10, 30), (20, 30)] {
        let members = same(n, quota);
        assert_balanced(&members);
        let mut counts: HashMap<(MailboxId, MailboxId), u16> = HashMap::new();
        for (from, to, _) in serve(&members) {
            *counts.entry((from, to.mailbox)).or_default() += 1;
        }
        let others = n as u16 - 1;
        assert!(counts.values().all(|count| *count == quota / others || *count == quota.div_ceil(others)), "{n}");
    }
}

#[test]
fn a_lone_mailbox_has_no_partner() {
    let pairing = Pairing::new(same(1, 30));
    assert_eq!(pairing.planned(numbered(1), 1), None);
    assert!(pairing.fallback_partners(numbered(1), 1, 7, 64).is_empty());
    assert!(Pairing::new(Vec::new()).fallback_partners(numbered(1), 1, 7, 64).is_empty());
}

#[test]
fn ramps_mixed_from_three_to_thirty_repeat_nobody() {
    let members = pool(&[(1, "a", 16), (2, "b", 16), (3, "c", 16)], |i| 3 + 3 * (i as u16 % 10));
    assert_eq!(repeats(&members), 0);
    assert!(serve(&members).len() == members.iter().map(|m| usize::from(m.quota)).sum::<usize>());
}

#[test]
fn a_mailbox_enrolled_at_noon_walks_over_everybody() {
    let pairing = Pairing::new(same(48, 30));
    let walk = pairing.fallback_partners(numbered(1_000), 1, u64::MAX / 2, usize::MAX);
    let partners: HashSet<_> = walk.iter().map(|partner| partner.mailbox).collect();
    assert_eq!(partners.len(), 48);
}

#[test]
fn an_attempt_beyond_the_quota_walks() {
    let pairing = Pairing::new(same(48, 30));
    assert!(pairing.planned(numbered(1), 30).is_some());
    assert_eq!(pairing.planned(numbered(1), 31), None);
    assert_eq!(pairing.planned(numbered(1), 0), None);
}

#[test]
fn a_walk_prefers_other_owners_then_other_domains() {
    let members = pool(&[(1, "a", 2), (1, "b", 2), (2, "c", 2)], |_| 3);
    let pairing = Pairing::new(members.clone());
    let walk: Vec<i64> =
        pairing.fallback_partners(sender(&members[0]), 4, 0, 64).iter().take(5).map(|p| p.mailbox.0).collect();
    assert_eq!(walk, [5, 6, 3, 4, 2]);
}

/// Returns two owners with verified and unverified mailboxes.
fn half_verified() -> Vec<RosterEntry> {
    let mut members = pool(&[(1, "a", 6), (2, "b", 4), (2, "c", 8)], |_| 5);
    members.iter_mut().for_each(|member| member.verified = member.mailbox.0 % 2 == 0);
    members
}

#[test]
fn mailboxes_that_are_not_verified_are_paired_within_their_owner_and_the_others_among_themselves() {
    let members = half_verified();
    let by_id: HashMap<MailboxId, &RosterEntry> = members.iter().map(|member| (member.mailbox, member)).collect();
    for (from, to, planned) in serve(&members) {
        let (from, to) = (by_id[&from], by_id[&to.mailbox]);
        assert!(from.user == to.user || (from.verified && to.verified), "{from:?} writes to {to:?}");
        assert!(!planned || from.verified == to.verified, "{from:?} is planned to write to {to:?}");
    }
}

#[test]
fn unverified_mailboxes_of_one_owner_keep_the_verified_of_all_in_balance() {
    let mut members = half_verified();
    members.extend((0..500).map(|i| RosterEntry {
        mailbox: MailboxId(1_000 + i),
        user: UserId(3),
        domain: "d".into(),
        quota: 30,
        verified: false,
    }));
    let verified: Vec<RosterEntry> = members.iter().filter(|member| member.verified).cloned().collect();
    let received = received(&serve(&members));
    assert!(verified.iter().all(|member| received.get(&member.mailbox) == Some(&member.quota)), "{received:?}");
    let pairing = Pairing::new(members.clone());
    for member in &verified {
        let others = pairing.fallback_partners(sender(member), 9, 1 << 60, 64).len();
        assert!(others >= verified.len() - 1, "the verified ones are found among many that are not: {others}");
    }
}

#[test]
fn a_lone_unverified_mailbox_uses_all_of_its_owner_once_a_round() {
    let mut members = pool(&[(1, "a", 4), (2, "b", 20)], |_| 6);
    members[0].verified = false;
    let partners: Vec<Partner> =
        serve(&members).into_iter().filter(|(from, ..)| *from == members[0].mailbox).map(|(_, to, _)| to).collect();
    let mut mailboxes: Vec<i64> = partners.iter().map(|partner| partner.mailbox.0).collect();
    mailboxes.sort_unstable();
    assert_eq!(mailboxes, [2, 2, 3, 3, 4, 4], "{partners:?}");
}

#[test]
fn a_mailbox_that_was_verified_after_the_roster_was_made_walks_over_the_verified_ones() {
    let members = half_verified();
    let pairing = Pairing::new(members.clone());
    let now = PairingSender { verified: true, ..sender(&members[0]) };
    assert_eq!(pairing.planned(now, 1), None);
    let walk: HashSet<MailboxId> =
        pairing.fallback_partners(now, 1, 7, usize::MAX).into_iter().map(|partner| partner.mailbox).collect();
    let all: HashSet<MailboxId> =
        members[1..].iter().filter(|m| m.verified || m.user == UserId(1)).map(|m| m.mailbox).collect();
    assert_eq!(walk, all);
}

/// Returns 2^k - 1, 2^k and 2^k + 1, up to 2^`most`.
fn sizes_around_powers_of_two(most: u32) -> impl Iterator<Item = usize> {
    (1..=most).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]).filter(|size| *size > 1)
}

/// Returns the planned partners of a member on a day with `quota`, and checks that they are others and
/// unused.
fn planned_partners(pairing: &Pairing, member: &RosterEntry, quota: u16) -> Vec<Partner> {
    let mut used = HashSet::new();
    let partners: Vec<Partner> = (1..=quota).filter_map(|k| pairing.planned(sender(member), k)).collect();
    for partner in &partners {
        assert_ne!(partner.mailbox, member.mailbox, "no mailbox is its own partner");
        assert!(used.insert(*partner), "{member:?} of {} repeats {partner:?}", pairing.len());
    }
    partners
}

#[test]
fn a_roster_of_65_537_has_one_round_and_repeats_nobody() {
    for n in [65_536, 65_537, 65_538] {
        let members = same(n, 30);
        let pairing = Pairing::new(members.clone());
        for at in [0, 1, 32_767, n - 1] {
            let partners = planned_partners(&pairing, &members[at], 30);
            let mailboxes: HashSet<_> = partners.iter().map(|partner| partner.mailbox).collect();
            assert_eq!((mailboxes.len(), partners[29].round), (30, 0), "{n}");
        }
    }
}

#[test]
fn rosters_around_every_power_of_two_pair_without_a_repeat() {
    // Above 2^17 only one size of each three, because the test builds each roster.
    for n in sizes_around_powers_of_two(17).chain((18..=20).map(|power| (1 << power) + 1)) {
        let quota = |i: usize| if i.is_multiple_of(3) { 12 } else { 9 };
        let members = pool(&[(1, "a", n / 2), (2, "b", n - n / 2)], quota);
        let pairing = Pairing::new(members.clone());
        for i in (0..n).step_by(n.div_ceil(9)).chain([n - 1]) {
            let partners = planned_partners(&pairing, &members[i], quota(i));
            // Both kinds of members share the first nine levels, so no partner is missing.
            assert!(partners.len() >= 9, "{n}: {partners:?}");
            for (partner, k) in partners.iter().zip(1..).take(9) {
                assert_eq!(usize::from(partner.round), (k - 1) / (n - 1), "{n}");
            }
            let fallbacks = pairing.fallback_partners(sender(&members[i]), 10, u64::MAX - i as u64, 16);
            assert_eq!(fallbacks.len(), (n - 1).min(16), "{n}");
            assert!(fallbacks.iter().all(|partner| partner.mailbox != members[i].mailbox), "{n}");
        }
    }
}

#[test]
fn a_round_ends_when_all_partners_are_used_at_every_size() {
    for n in sizes_around_powers_of_two(20) {
        let attempts = attempts_per_round(n);
        for k in [1, 2, 3, 255, 256, 257, 65_534, 65_535u16] {
            assert_eq!(usize::from((k - 1) / attempts), usize::from(k - 1) / (n - 1), "{n}, attempt {k}");
        }
    }
}

/// Returns the order by its definition: all shifts, sorted.
fn sorted_shifts(members: usize, [owner, domain]: [usize; 2], floor: usize) -> Vec<usize> {
    let crosses = |group: usize, shift: usize| group <= shift && shift + group <= members;
    let mut shifts: Vec<usize> = (1..members).filter(|shift| *shift > floor).collect();
    shifts.sort_by_key(|shift| (!crosses(owner, *shift), !crosses(domain, *shift), *shift));
    shifts
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equal_quotas_are_always_balanced_and_never_repeat_within_a_round(
        sizes in proptest::collection::vec(1usize..12, 1..8), quota in 1u16..40,
    ) {
        const DOMAINS: [&str; 4] = ["a", "b", "c", "d"];
        let groups: Vec<_> =
            sizes.iter().zip(0..).map(|(size, i)| (i as i64 / 2, DOMAINS[i % 4], *size)).collect();
        let members = pool(&groups, |_| quota);
        let pairs = serve(&members);
        if members.len() > 1 {
            let received = received(&pairs);
            prop_assert!(members.iter().all(|m| received.get(&m.mailbox) == Some(&quota)));
            prop_assert!(pairs.iter().all(|(_, _, planned)| *planned));
        }
    }

    #[test]
    fn shifts_come_in_the_order_of_preference(
        members in 0usize..70, owner in 1usize..70, domain in 1usize..70, floor in 0usize..70,
    ) {
        let groups = [owner.min(members), domain.min(members)].map(|group| group.max(1));
        let order: Vec<usize> = ShiftOrder::new(members, groups, floor).collect();
        prop_assert_eq!(order, sorted_shifts(members, groups, floor));
    }

    #[test]
    fn levels_never_repeat_a_pair_within_a_round_whatever_the_quotas(quotas in proptest::collection::vec(1u16..40, 2..60)) {
        let members = pool(&[(1, "a", quotas.len())], |i| quotas[i]);
        let pairing = Pairing::new(members.clone());
        for member in &members {
            let planned: Vec<Partner> = (1..=member.quota).filter_map(|k| pairing.planned(sender(member), k)).collect();
            let distinct: HashSet<_> = planned.iter().collect();
            prop_assert_eq!(distinct.len(), planned.len());
            prop_assert!(planned.iter().all(|p| p.mailbox != member.mailbox));
        }
    }

    #[test]
    fn a_level_sends_one_and_receives_one(quotas in proptest::collection::vec(1u16..40, 2..60), k in 1u16..40) {
        let members = pool(&[(1, "a", quotas.len())], |i| quotas[i]);
        let pairing = Pairing::new(members.clone());
        let level: HashSet<_> = members.iter().filter(|m| m.quota >= k).map(|m| m.mailbox).collect();
        let targets: Vec<_> = members.iter().filter_map(|m| pairing.planned(sender(m), k)).map(|p| p.mailbox).collect();
        if !targets.is_empty() {
            prop_assert_eq!(targets.iter().copied().collect::<HashSet<_>>(), level);
            prop_assert_eq!(targets.len(), targets.iter().collect::<HashSet<_>>().len());
        }
    }

    #[test]
    fn the_order_of_reading_does_not_matter(quotas in proptest::collection::vec(1u16..40, 2..40), seed in any::<u64>()) {
        let members = pool(&[(1, "a", quotas.len() / 2), (2, "b", quotas.len() - quotas.len() / 2)], |i| quotas[i]);
        let mut shuffled = members.clone();
        shuffled.sort_by_key(|m| (m.mailbox.0 as u64).wrapping_mul(seed | 1));
        let (one, other) = (Pairing::new(members.clone()), Pairing::new(shuffled));
        for member in &members {
            prop_assert_eq!(one.planned(sender(member), 1), other.planned(sender(member), 1));
        }
    }
}
