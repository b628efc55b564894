//! `Queue` holds the planned mails until the next tick.
//!
//! Released mails go by turns and urgency (`queue/fair.rs`); the others wait for their release. The queue has at most
//! one mail per mailbox. From the reserve to the settlement of a mail its mailbox is *busy*, and the queue hands out no
//! other mail of it.

mod fair;
mod refusals;
mod throttled_users;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, Utc};

pub(super) use self::{
    fair::{AwaitedEnds, HostTurn},
    refusals::RefusalScope,
};
use self::{
    fair::{FairQueue, Released},
    refusals::KnownRefusals,
    throttled_users::ThrottledUsers,
};
use crate::{
    domain::{
        host_window::HostSign,
        id::{MailboxId, ShardId, UserId},
        plan::MailboxPlan,
    },
    ports::Refusal,
};

/// A planned mail, and how its partner is chosen.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    pub(super) planned: MailboxPlan,
    /// True after a refusal of the planned partner and of the first others: the next request offers many partners.
    pub(super) walk: bool,
}

/// A `Queue` hands out planned mails in a fair order (`queue.rs`).
#[derive(Debug)]
pub(super) struct Queue {
    mails: HashMap<MailboxId, Mail>,
    waiting: BTreeSet<(DateTime<Utc>, MailboxId)>,
    ready: FairQueue,
    busy: HashSet<MailboxId>,
    short: ThrottledUsers,
    refusals: KnownRefusals,
    /// Mail hosts with a refusal of a cap, each with the end of its wait.
    held_hosts: HashMap<String, DateTime<Utc>>,
}

impl Queue {
    /// Creates the queue of a worker with this number of lanes.
    pub(super) fn new(lanes: usize) -> Queue {
        Queue {
            mails: HashMap::new(),
            waiting: BTreeSet::new(),
            ready: FairQueue::new(lanes),
            busy: HashSet::new(),
            short: ThrottledUsers::default(),
            refusals: KnownRefusals::default(),
            held_hosts: HashMap::new(),
        }
    }

    /// Replaces the plan of `shards` by `plan`. Busy mailboxes stay busy; known refusals are forgotten.
    pub(super) fn replace(&mut self, shards: &BTreeSet<ShardId>, plan: Vec<MailboxPlan>) {
        self.forget(shards);
        self.refusals = KnownRefusals::default();
        for planned in plan {
            self.insert(Mail { planned, walk: false });
        }
    }

    /// Returns the release time of the waiting mail of `mailbox`.
    pub(super) fn release_of(&self, mailbox: MailboxId) -> Option<DateTime<Utc>> {
        self.mails.get(&mailbox).map(|mail| mail.planned.release_at)
    }

    /// Drops the plan of `shards`.
    pub(super) fn forget(&mut self, shards: &BTreeSet<ShardId>) {
        let old: Vec<MailboxId> =
            self.mails.values().map(|m| &m.planned).filter(|p| shards.contains(&p.shard)).map(|p| p.mailbox).collect();
        for mailbox in old {
            self.remove(mailbox);
        }
    }

    /// Returns the planned mails of all shards but `shards`: user, day and number of mails.
    pub(super) fn planned_beside(&self, shards: &BTreeSet<ShardId>) -> impl Iterator<Item = (UserId, NaiveDate, u16)> {
        let others = self.mails.values().map(|mail| &mail.planned).filter(|planned| !shards.contains(&planned.shard));
        others.map(|planned| (planned.user, planned.day, planned.owed))
    }

    /// Takes at most `most` mails that are released at `now`, in the fair order, and marks their mailboxes busy.
    pub(super) fn take(&mut self, now: DateTime<Utc>, most: usize) -> Vec<Mail> {
        self.release(now);
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(mail) = self.ready.next().and_then(|mailbox| self.mails.get(&mailbox)) else { break };
            let (planned, mailbox) = (&mail.planned, mail.planned.mailbox);
            let user = planned.user;
            if planned.until <= now || self.refusals.cover(scope(planned)) {
                self.remove(mailbox);
            } else if let Some(until) = self.held_hosts.get(&*planned.host).copied().filter(|until| *until > now) {
                self.ready.remove(Released::from(planned));
                self.postpone(mailbox, until);
            } else if self.short.until(user).is_some() {
                self.ready.remove(Released::from(planned));
                self.short.takes(user, (planned.urgency, mailbox));
            } else {
                self.ready.hand_out(Released::from(planned));
                self.short.handed_out(user);
                taken.extend(self.mails.remove(&mailbox));
                self.busy.insert(mailbox);
            }
        }
        self.ready.end_choice();
        taken
    }

    /// Puts back a taken mail; `take` does not return it before `at`.
    pub(super) fn put_back(&mut self, mut mail: Mail, at: DateTime<Utc>) {
        self.free_lane(mail.planned.mailbox);
        self.busy.remove(&mail.planned.mailbox);
        mail.planned.release_at = mail.planned.release_at.max(at);
        self.insert(mail);
    }

    /// Clears the busy mark of a mailbox whose mail was not started. The next tick plans the mailbox again.
    pub(super) fn drop_taken(&mut self, mailbox: MailboxId) {
        self.free_lane(mailbox);
        self.busy.remove(&mailbox);
    }

    /// Marks a mailbox busy with a reply, which is not in this queue. Returns whether the mailbox was free.
    pub(super) fn occupy(&mut self, mailbox: MailboxId) -> bool {
        let free = self.busy.insert(mailbox);
        if let Some(mail) = self.mails.get(&mailbox).filter(|_| free) {
            self.ready.remove(Released::from(&mail.planned));
            self.short.forget(mail.planned.user, (mail.planned.urgency, mailbox));
            self.waiting.remove(&(mail.planned.release_at, mailbox));
        }
        free
    }

    /// Records that a reply of `mailbox` takes a lane; replies are not in this queue.
    pub(super) fn handed_out(&mut self, mailbox: MailboxId, user: UserId, host: &Arc<str>) {
        self.short.handed_out(user);
        self.ready.occupy(host, user, mailbox);
    }

    /// Returns whether `user` may submit a reply to `host` now, beside the in-flight mails of that host.
    pub(super) fn has_room(&self, user: UserId, host: &str) -> bool {
        self.ready.has_room(host, user)
    }

    /// Remembers a refusal of the ledger until the next plan if it covers more than one mail.
    pub(super) fn learn(&mut self, refusal: Refusal, about: RefusalScope<'_>) {
        self.refusals.learn(refusal, about);
    }

    /// Returns whether a known refusal covers this mail or reply.
    pub(super) fn is_refused(&self, mail: RefusalScope<'_>) -> bool {
        self.refusals.cover(mail)
    }

    /// Records that the mail or reply of `mailbox` has left its lane. Returns the change of its host, if any.
    pub(super) fn lane_ended(&mut self, mailbox: MailboxId, sign: HostSign) -> Option<HostTurn> {
        self.ready.free(mailbox, sign)
    }

    /// Returns the mail ends for which the queue waits at `now`: each would release another mail.
    pub(super) fn take_awaited(&mut self, now: DateTime<Utc>) -> AwaitedEnds {
        self.release(now);
        self.ready.take_awaited()
    }

    /// Returns the slow mail hosts, sorted by name.
    pub(super) fn slow_hosts(&self) -> Vec<Arc<str>> {
        self.ready.slow_hosts()
    }

    /// Clears the busy mark of a mailbox whose reply was not started, so that its mails can go.
    pub(super) fn free(&mut self, mailbox: MailboxId) {
        self.free_lane(mailbox);
        self.busy.remove(&mailbox);
        if let Some(mail) = self.remove(mailbox) {
            self.insert(mail);
        }
    }

    /// Stores the next mail of a busy mailbox.
    pub(super) fn owes_more(&mut self, planned: MailboxPlan) {
        self.mails.insert(planned.mailbox, Mail { planned, walk: false });
    }

    /// Records that the mail of `mailbox` is settled. The next mail of it is released after the cooldown.
    pub(super) fn done(&mut self, mailbox: MailboxId, next_at: DateTime<Utc>) {
        self.busy.remove(&mailbox);
        if let Some(mut mail) = self.remove(mailbox) {
            mail.planned.release_at = mail.planned.release_at.max(next_at);
            mail.planned.rested_at = mail.planned.rested_at.max(Some(next_at));
            if mail.planned.release_at < mail.planned.until {
                self.insert(mail);
            }
        }
    }

    /// Records that the mail of `mailbox` is settled and that the outcome stops the mailbox.
    pub(super) fn stopped(&mut self, mailbox: MailboxId) {
        self.busy.remove(&mailbox);
        self.remove(mailbox);
    }

    /// Holds the mails of `user` until `until`, because a cap of the user refused a mail. Afterwards the queue hands
    /// out few mails at once, because the cap granted only `granted` others.
    pub(super) fn hold(&mut self, user: UserId, until: DateTime<Utc>, granted: usize) {
        self.short.refused(user, until, granted);
    }

    /// Holds the mails to `host` until `until`.
    pub(super) fn hold_host(&mut self, host: &str, until: DateTime<Utc>) {
        let held = self.held_hosts.entry(host.to_owned()).or_insert(until);
        *held = (*held).max(until);
    }

    /// Forgets the plan and all holds, because the clock was set since and their times are wrong. Busy mailboxes stay
    /// busy.
    pub(super) fn forget_all(&mut self) {
        let planned: Vec<MailboxId> = self.mails.keys().copied().collect();
        planned.into_iter().for_each(|mailbox| drop(self.remove(mailbox)));
        self.waiting.clear();
        self.held_hosts.clear();
        (self.short, self.refusals) = (ThrottledUsers::default(), KnownRefusals::default());
    }

    /// Returns the end of the hold on `user` or `host`, the later of both. The end may have passed.
    pub(super) fn held_until(&self, user: UserId, host: &str) -> Option<DateTime<Utc>> {
        self.short.until(user).max(self.held_hosts.get(host).copied())
    }

    /// Returns the time of the next mail: the far past if a mail may go now, `None` if no mail waits for a time.
    pub(super) fn next_at(&self) -> Option<DateTime<Utc>> {
        if self.ready.may_go() {
            return Some(DateTime::<Utc>::MIN_UTC);
        }
        let waiting = self.waiting.first().map(|(at, _)| *at);
        [waiting, self.short.next_at()].into_iter().flatten().min()
    }

    /// Returns the number of released mails that may go at `now`, up to `most`.
    pub(super) fn released(&mut self, now: DateTime<Utc>, most: usize) -> usize {
        self.release(now);
        self.ready.open(most)
    }

    /// Returns the number of mailboxes with a planned mail.
    pub(super) fn len(&self) -> usize {
        self.mails.len()
    }

    fn release(&mut self, now: DateTime<Utc>) {
        while let Some((at, mailbox)) = self.waiting.first().copied().filter(|(at, _)| *at <= now) {
            self.waiting.remove(&(at, mailbox));
            let Some(planned) = self.mails.get(&mailbox).map(|mail| &mail.planned) else { continue };
            if self.refusals.cover(scope(planned)) {
                self.mails.remove(&mailbox);
            } else if !self.short.takes(planned.user, (planned.urgency, mailbox)) {
                self.ready.insert(Released::from(planned));
            }
        }
        for (_, mailbox) in self.short.resume_mails(now) {
            if let Some(mail) = self.mails.get(&mailbox) {
                self.ready.insert(Released::from(&mail.planned));
            }
        }
    }

    /// Takes back the lane of a mail that was not started.
    fn free_lane(&mut self, mailbox: MailboxId) {
        self.ready.free(mailbox, HostSign::Nothing);
    }

    fn postpone(&mut self, mailbox: MailboxId, until: DateTime<Utc>) {
        let Some(mail) = self.mails.get_mut(&mailbox) else { return };
        mail.planned.release_at = until;
        if !self.busy.contains(&mailbox) {
            self.waiting.insert((until, mailbox));
        }
    }

    fn insert(&mut self, mail: Mail) {
        let mailbox = mail.planned.mailbox;
        self.remove(mailbox);
        if !self.busy.contains(&mailbox) {
            self.waiting.insert((mail.planned.release_at, mailbox));
        }
        self.mails.insert(mailbox, mail);
    }

    /// Removes the planned mail of a mailbox from all orders of the queue.
    fn remove(&mut self, mailbox: MailboxId) -> Option<Mail> {
        let mail = self.mails.remove(&mailbox)?;
        self.ready.remove(Released::from(&mail.planned));
        self.short.forget(mail.planned.user, (mail.planned.urgency, mailbox));
        self.waiting.remove(&(mail.planned.release_at, mailbox));
        Some(mail)
    }
}

fn scope(planned: &MailboxPlan) -> RefusalScope<'_> {
    let MailboxPlan { user, day, shard, host, domain, .. } = planned;
    RefusalScope { user: *user, day: *day, shard: *shard, host, domain }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::{
        plan::{Candidate, Tick, plan},
        ramp::Ramp,
        time::{Schedule, Weekdays},
    };

    const QUARTER: TimeDelta = TimeDelta::minutes(15);

    fn at(minute: i64) -> DateTime<Utc> {
        "2026-11-24T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute)
    }

    /// Returns a plan made at noon for (mailbox, user, mails reserved so far).
    fn planned(mailboxes: &[(i64, i64, u16)]) -> Vec<MailboxPlan> {
        let candidate = |(id, user, reserved): &(i64, i64, u16)| Candidate {
            id: MailboxId(*id),
            user: UserId(*user),
            shard: ShardId(0),
            domain: "a.test".into(),
            verified: true,
            host: format!("mail{user}.test").into(),
            schedule: Schedule { zone: chrono_tz::UTC, window: "09:00-17:00".parse().unwrap(), days: Weekdays::ALL },
            ramp: Ramp { start: 30, step: 0, daily_max: 30 },
            grown: 0,
            day: at(0).date_naive(),
            reserved: *reserved,
            sent: *reserved,
            attempts: *reserved,
            next_at: None,
            last_sent_at: None,
            enrolled_at: DateTime::UNIX_EPOCH,
            failed_in_row: 0,
            probe: None,
        };
        let candidates: Vec<Candidate> = mailboxes.iter().map(candidate).collect();
        let tick = Tick {
            now: at(0),
            next: at(0) + QUARTER,
            spread: TimeDelta::zero(),
            active: "07:00-22:00".parse().unwrap(),
            boost: 2.0,
            cooldown: TimeDelta::zero(),
        };
        plan(&candidates, &tick)
    }

    fn queue(mailboxes: &[(i64, i64, u16)]) -> Queue {
        let mut queue = Queue::new(40);
        queue.replace(&BTreeSet::from([ShardId(0)]), planned(mailboxes));
        queue
    }

    fn ids(mails: &[Mail]) -> Vec<i64> {
        mails.iter().map(|mail| mail.planned.mailbox.0).collect()
    }

    #[test]
    fn the_most_urgent_go_first() {
        let mut queue = queue(&[(1, 1, 9), (2, 1, 0), (3, 1, 5)]);
        assert_eq!(ids(&queue.take(at(0), 2)), [2, 3]);
        assert_eq!(ids(&queue.take(at(0), 2)), [1]);
        assert!(queue.take(at(0), 2).is_empty());
    }

    #[test]
    fn a_mailbox_on_its_way_is_not_handed_out_again() {
        let mut queue = queue(&[(1, 1, 0)]);
        let mail = queue.take(at(0), 1).remove(0);
        queue.owes_more(mail.planned.after_attempt(at(0), at(0)).unwrap());
        queue.replace(&BTreeSet::from([ShardId(0)]), planned(&[(1, 1, 1)]));
        assert!(queue.take(at(1), 1).is_empty());
        queue.done(MailboxId(1), at(4));
        assert!(queue.take(at(3), 1).is_empty(), "it cools down");
        assert_eq!(ids(&queue.take(at(4), 1)), [1]);
    }

    #[test]
    fn a_mailbox_that_answers_sends_nothing_else_meanwhile() {
        let mut queue = queue(&[(1, 1, 0)]);
        assert_eq!(queue.released(at(0), 9), 1);
        assert!(queue.occupy(MailboxId(1)) && !queue.occupy(MailboxId(1)));
        assert!(queue.take(at(0), 1).is_empty());
        assert_eq!(queue.next_at(), None);
        queue.free(MailboxId(1));
        assert_eq!(ids(&queue.take(at(0), 1)), [1]);
    }

    #[test]
    fn a_held_user_waits_and_the_others_go() {
        let mut queue = queue(&[(1, 1, 0), (2, 2, 5)]);
        queue.hold(UserId(1), at(2), 0);
        assert_eq!(ids(&queue.take(at(0), 5)), [2]);
        assert_eq!(queue.next_at(), Some(at(2)));
        assert_eq!(ids(&queue.take(at(2), 5)), [1]);
    }

    #[test]
    fn of_who_is_short_one_is_tried_and_then_twice_as_many_each_time() {
        let mut queue = queue(&[(1, 1, 0), (2, 1, 1), (3, 1, 2), (4, 1, 3), (5, 2, 9)]);
        queue.hold(UserId(1), at(1), 0);
        let a_step_later = |steps: i32| at(1) + TimeDelta::milliseconds(250) * steps;
        assert_eq!(ids(&queue.take(at(0), 9)), [5]);
        assert_eq!((queue.released(at(0), 9), queue.next_at()), (0, Some(at(1))), "the others stand aside");
        assert_eq!(ids(&queue.take(at(1), 9)), [1]);
        assert!(queue.take(at(1), 9).is_empty());
        assert_eq!(ids(&queue.take(a_step_later(1), 9)), [2, 3]);
        queue.hold(UserId(1), a_step_later(9), 2);
        assert!(queue.take(a_step_later(8), 9).is_empty());
        assert_eq!(ids(&queue.take(a_step_later(9), 9)), [4]);
        queue.take(a_step_later(10), 9);
        assert_eq!(queue.held_until(UserId(1), "mail.test"), None, "who has had enough is short no longer");
    }

    #[test]
    fn a_held_host_s_mails_wait_and_those_behind_them_go() {
        let mut queue = queue(&[(1, 1, 0), (2, 2, 5)]);
        queue.hold_host("mail1.test", at(2));
        assert_eq!(ids(&queue.take(at(0), 5)), [2]);
        assert_eq!(queue.held_until(UserId(7), "mail1.test"), Some(at(2)));
        assert_eq!(ids(&queue.take(at(2), 5)), [1]);
    }

    #[test]
    fn nothing_starts_after_the_next_tick() {
        let mut queue = queue(&[(1, 1, 0)]);
        assert!(queue.take(at(15), 1).is_empty());
        assert_eq!((queue.len(), queue.next_at()), (0, None));
    }

    #[test]
    fn a_mailbox_whose_answer_stopped_it_owes_nothing_more() {
        let mut queue = queue(&[(1, 1, 0)]);
        let mail = queue.take(at(0), 1).remove(0);
        queue.owes_more(mail.planned.after_attempt(at(0), at(0)).unwrap());
        queue.stopped(MailboxId(1));
        assert_eq!(queue.next_at(), None);
        queue.replace(&BTreeSet::from([ShardId(0)]), planned(&[(1, 1, 1)]));
        assert_eq!(ids(&queue.take(at(0), 1)), [1], "a later plan counts again");
    }

    /// The six lanes of a worker that knows two hosts: each host gets one, and at most a third may be in doubt.
    #[test]
    fn mails_that_are_put_back_or_dropped_occupy_no_lane() {
        let mut queue = Queue::new(6);
        queue.replace(&BTreeSet::from([ShardId(0)]), planned(&[(1, 1, 0), (2, 1, 0), (3, 2, 0), (4, 2, 0)]));
        for minute in 0..5 {
            let mails = queue.take(at(minute), 6);
            assert_eq!(mails.len(), 2, "minute {minute}");
            mails.into_iter().for_each(|mail| queue.put_back(mail, at(minute)));
        }
        let mails = queue.take(at(5), 6);
        queue.drop_taken(mails[0].planned.mailbox);
        assert_eq!(queue.take(at(5), 6).len(), 1);
    }

    #[test]
    fn a_user_s_full_day_is_asked_for_once_and_again_after_the_next_plan() {
        let mut queue = queue(&[(1, 1, 0), (2, 1, 5), (3, 2, 9)]);
        let mail = queue.take(at(0), 1).remove(0);
        queue.learn(Refusal::UserDailyLimit, scope(&mail.planned));
        queue.drop_taken(MailboxId(1));
        assert_eq!(ids(&queue.take(at(1), 5)), [3]);
        assert!(queue.is_refused(scope(&mail.planned)));
        queue.replace(&BTreeSet::from([ShardId(0)]), planned(&[(2, 1, 5)]));
        assert_eq!(ids(&queue.take(at(1), 5)), [2]);
    }

    #[test]
    fn a_mail_that_is_put_back_waits_as_long_as_it_is_told() {
        let mut queue = queue(&[(1, 1, 0)]);
        let mail = queue.take(at(0), 1).remove(0);
        queue.put_back(mail, at(3));
        assert!(queue.take(at(2), 1).is_empty());
        assert_eq!(queue.released(at(3), 9), 1);
    }
}
