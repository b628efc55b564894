use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::domain::{progress::PlannedShare, time::Span, urgency::QuotaProgress};

const LANES: usize = 20;

/// The factor of the bound in `queue/fair.rs`.
const MOST_BEFORE: usize = 8;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

/// A mailbox of a user and its mail to a host.
#[derive(Clone, Debug)]
struct Mail {
    host: Arc<str>,
    user: i64,
    mailbox: i64,
    /// The number of reserved mails, of a quota of 100.
    reserved: u16,
    rested_at: i64,
}

impl Mail {
    fn of(host: &str, user: i64, mailbox: i64) -> Mail {
        Mail { host: host.into(), user, mailbox, reserved: 0, rested_at: 0 }
    }

    fn released(&self) -> Released<'_> {
        let (mailbox, reserved) = (MailboxId(self.mailbox), self.reserved);
        let standing =
            QuotaProgress { mailbox, quota: 100, reserved, sent: reserved, last_sent_at: None, failed_in_row: 0 };
        let share = PlannedShare::at(at(0), Span { start: at(0), end: at(8) });
        Released {
            host: &self.host,
            user: UserId(self.user),
            mailbox,
            urgency: Urgency::of(&standing, share, 1.0),
            rested_at: Some(at(self.rested_at)),
        }
    }
}

/// The queue under test, and all mails by mailbox.
struct World {
    queue: FairQueue,
    mails: HashMap<i64, Mail>,
}

impl World {
    fn with(lanes: usize, mails: impl IntoIterator<Item = Mail>) -> World {
        let mut world = World { queue: FairQueue::new(lanes), mails: HashMap::new() };
        for mail in mails {
            world.queue.insert(mail.released());
            world.mails.insert(mail.mailbox, mail);
        }
        world
    }

    /// Hands out mails while a lane is free and a mail may go.
    fn fill(&mut self) -> Vec<Mail> {
        let mut went = Vec::new();
        while self.queue.busy < self.queue.lanes
            && let Some(mailbox) = self.queue.next()
        {
            let mail = self.mails[&mailbox.0].clone();
            self.queue.hand_out(mail.released());
            went.push(mail);
        }
        self.queue.end_choice();
        went
    }

    fn end(&mut self, mail: &Mail, sign: HostSign) {
        self.queue.free(MailboxId(mail.mailbox), sign);
    }

    /// Ends the mail and releases the next one of its mailbox.
    fn end_and_release(&mut self, mail: &Mail, sign: HostSign) {
        self.end(mail, sign);
        self.queue.insert(mail.released());
    }

    fn busy(&self, host: &str) -> usize {
        self.queue.hosts[host].busy
    }

    /// Returns whether the windows admit a released mail.
    fn may_go(&self, mail: &Mail) -> bool {
        self.queue.has_room(&mail.host, UserId(mail.user))
    }
}

fn hosts(names: std::ops::Range<i64>, mailboxes: i64) -> impl Iterator<Item = Mail> {
    names.flat_map(move |n| (0..mailboxes).map(move |m| Mail::of(&format!("h{n}.test"), n, n * 1_000 + m)))
}

fn is_of(mail: &Mail, host: &str) -> bool {
    &*mail.host == host
}

#[test]
fn a_worker_that_knows_one_user_of_one_host_uses_all_lanes_at_once() {
    let mut world = World::with(LANES, hosts(1..2, 40));
    assert_eq!(world.fill().len(), LANES);
}

#[test]
fn a_silent_host_soon_holds_one_lane_and_the_other_one_all_others() {
    let mut world = World::with(LANES, hosts(1..3, 60));
    for _ in 0..20 {
        let went = world.fill();
        went.iter()
            .filter(|mail| is_of(mail, "h1.test"))
            .for_each(|mail| world.end_and_release(mail, HostSign::Prompt));
    }
    assert_eq!((world.busy("h1.test"), world.busy("h2.test")), (0, 5), "not known, it holds a quarter");
    let silent: Vec<Mail> = world.mails.values().filter(|mail| is_of(mail, "h2.test")).cloned().collect();
    silent.iter().for_each(|mail| world.end(mail, HostSign::Silent));
    world.fill();
    assert_eq!((world.busy("h1.test"), world.busy("h2.test")), (19, 1));
}

#[test]
fn forty_silent_hosts_together_hold_a_third_of_the_lanes() {
    let mut world = World::with(LANES, hosts(1..41, 3));
    for _ in 0..5 {
        let went = world.fill();
        assert!(world.queue.busy <= LANES / 3);
        went.iter().for_each(|mail| world.end_and_release(mail, HostSign::Silent));
    }
    world.queue.insert(Mail::of("healthy.test", 99, 99_000).released());
    assert_eq!(world.fill().len(), LANES / 3);
}

#[test]
fn one_lane_is_enough() {
    let mut world = World::with(1, hosts(1..3, 2));
    let mut went = Vec::new();
    for _ in 0..4 {
        let mails = world.fill();
        mails.iter().for_each(|mail| world.end(mail, HostSign::Silent));
        went.extend(mails);
    }
    assert_eq!(went.len(), 4, "{went:?}");
}

#[test]
fn a_user_s_timeouts_cost_the_host_s_other_users_nothing() {
    let mut world = World::with(LANES, (0..60).map(|n| Mail::of("h.test", n % 3, n)));
    for _ in 0..10 {
        world.fill().iter().for_each(|mail| world.end_and_release(mail, HostSign::Prompt));
    }
    for _ in 0..50 {
        for mail in world.fill() {
            let sign = if mail.user == 0 { HostSign::Silent } else { HostSign::Prompt };
            world.end_and_release(&mail, sign);
        }
    }
    let went = world.fill();
    let of_user = |user: i64| went.iter().filter(|mail| mail.user == user).count();
    assert_eq!((of_user(0), went.len()), (1, LANES));
    assert_eq!(world.queue.slow_hosts(), [] as [Arc<str>; 0]);
}

#[test]
fn a_host_that_is_silent_to_several_users_is_slow_and_recovers_with_its_first_answer() {
    let mut world = World::with(LANES, (0..60).map(|n| Mail::of("h.test", n % 3, n)));
    let mut turned = Vec::new();
    for _ in 0..3 {
        let went = world.fill();
        turned.extend(went.iter().filter_map(|mail| world.queue.free(MailboxId(mail.mailbox), HostSign::Silent)));
    }
    assert_eq!((turned, world.queue.slow_hosts()), (vec![HostTurn::Slow("h.test".into())], vec!["h.test".into()]));
    let went = world.fill();
    assert_eq!(went.len(), 1);
    let turned = world.queue.free(MailboxId(went[0].mailbox), HostSign::Prompt);
    assert_eq!(turned, Some(HostTurn::Prompt("h.test".into())));
}

/// Both hosts answer, and there are too few lanes for all mails.
#[test]
fn hosts_and_users_have_turns_in_proportion_to_what_they_have_released() {
    let mails = (0..60).map(|n| Mail::of("h1.test", if n < 45 { 1 } else { 2 }, n));
    let mut world = World::with(LANES, mails.chain((0..30).map(|n| Mail::of("h2.test", 1, 100 + n))));
    let (mut all, mut of_h1, mut of_user_1) = (0, 0, 0);
    for round in 0..200 {
        for mail in world.fill() {
            if round >= 20 {
                all += 1;
                of_h1 += usize::from(is_of(&mail, "h1.test"));
                of_user_1 += usize::from(is_of(&mail, "h1.test") && mail.user == 1);
            }
            world.end_and_release(&mail, HostSign::Prompt);
        }
    }
    assert_eq!(all, 180 * LANES);
    assert!((of_h1 * 3).abs_diff(all * 2) <= all / 20, "{of_h1} of {all}");
    assert!((of_user_1 * 4).abs_diff(of_h1 * 3) <= all / 20, "{of_user_1} of {of_h1}");
}

#[test]
fn a_host_that_falls_silent_with_all_lanes_free_holds_no_more_than_its_share_while_others_wait() {
    let mut world = World::with(LANES, hosts(1..3, 60));
    for _ in 0..20 {
        world.fill().iter().for_each(|mail| world.end_and_release(mail, HostSign::Prompt));
    }
    for _ in 0..50 {
        let went = world.fill();
        went.iter()
            .filter(|mail| is_of(mail, "h1.test"))
            .for_each(|mail| world.end_and_release(mail, HostSign::Prompt));
    }
    assert!(world.busy("h2.test") <= LANES / 2, "{}", world.busy("h2.test"));
}

#[test]
fn the_end_of_a_mail_that_is_waited_for_is_named() {
    let mut world = World::with(6, hosts(1..3, 3));
    let went = world.fill();
    assert_eq!(went.len(), 2, "each has one of its own, and a third of the lanes is in doubt");
    let awaited = world.queue.take_awaited();
    assert!(awaited.all && awaited.hosts.is_empty());
    went.iter().for_each(|mail| world.end(mail, HostSign::Prompt));
    assert!(!world.queue.take_awaited().all && world.queue.may_go());
}

fn any_mails() -> impl Strategy<Value = Vec<(u8, u8, u16)>> {
    proptest::collection::vec((0u8..5, 0u8..4, 0u16..100), 1..60)
}

fn mails_of(drawn: &[(u8, u8, u16)]) -> Vec<Mail> {
    let mail = |(n, (host, user, reserved)): (usize, &(u8, u8, u16))| Mail {
        reserved: *reserved,
        ..Mail::of(&format!("h{host}.test"), i64::from(*user), n as i64)
    };
    drawn.iter().enumerate().map(mail).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The other mails have the highest urgency, and each is released again when it has gone.
    #[test]
    fn no_released_mail_waits_longer_than_the_bound(drawn in any_mails(), lanes in 1usize..30) {
        let others = mails_of(&drawn);
        let last = Mail { reserved: 99, ..Mail::of("h0.test", 0, 1_000) };
        let released = others.len() + 1;
        let mut world = World::with(lanes, others.into_iter().chain([last]));
        let (mut before, mut turn) = (0, 1);
        'wait: loop {
            for mut mail in world.fill() {
                if mail.mailbox == 1_000 {
                    break 'wait;
                }
                before += 1;
                prop_assert!(before <= MOST_BEFORE * released, "{before} others before one of {released}");
                (mail.reserved, mail.rested_at, turn) = (0, turn, turn + 1);
                world.mails.insert(mail.mailbox, mail.clone());
                world.end_and_release(&mail, HostSign::Prompt);
            }
        }
    }

    /// The mails end in any order, with any sign.
    #[test]
    fn a_lane_stays_free_only_if_no_released_mail_may_go(
        drawn in any_mails(),
        lanes in 1usize..30,
        ends in proptest::collection::vec((0usize..30, 0u8..4, any::<bool>()), 0..200),
    ) {
        let mut world = World::with(lanes, mails_of(&drawn));
        let signs = [HostSign::Prompt, HostSign::Slow, HostSign::Silent, HostSign::Nothing];
        let mut waiting: BTreeSet<i64> = world.mails.keys().copied().collect();
        let mut going: Vec<Mail> = Vec::new();
        for (which, sign, again) in ends {
            for mail in world.fill() {
                waiting.remove(&mail.mailbox);
                going.push(mail);
            }
            let free = world.queue.busy < lanes;
            let able = waiting.iter().find(|mailbox| world.may_go(&world.mails[*mailbox]));
            prop_assert!(!free || able.is_none(), "{able:?} may go");
            prop_assert_eq!(world.queue.busy, going.len());
            if going.is_empty() {
                break;
            }
            let mail = going.swap_remove(which % going.len());
            world.end(&mail, signs[usize::from(sign)]);
            if again {
                waiting.insert(mail.mailbox);
                world.queue.insert(mail.released());
            }
        }
        for mail in going {
            world.end(&mail, HostSign::Prompt);
        }
        prop_assert_eq!((world.queue.busy, world.queue.busy_in_doubt), (0, 0));
    }
}
