//! `ReplyQueue` holds the due replies of the owned mailboxes, the longest due first.
//!
//! Each tick reads them, and they take the lanes that the mails leave over. A mailbox has at most one mail or reply in
//! flight. If a fleet cap refuses a mail, all replies wait for a while.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::{batch::REFUSAL_RETRY_DELAY, outbound::reply_scope, queue::Queue};
use crate::domain::{
    id::{MailboxId, ReplyId, ShardId},
    reply::DueReply,
};

/// A `ReplyQueue` hands out replies to the lanes that mails leave over.
#[derive(Debug, Default)]
pub(super) struct ReplyQueue {
    replies: HashMap<ReplyId, DueReply>,
    waiting: BTreeSet<(DateTime<Utc>, ReplyId)>,
    /// The end of the cooldown of each mailbox after its last mail.
    cooling: HashMap<MailboxId, DateTime<Utc>>,
    /// The time before which no reply may go.
    held: Option<DateTime<Utc>>,
}

impl ReplyQueue {
    /// Replaces all due replies of `shards`.
    pub(super) fn replace(&mut self, shards: &BTreeSet<ShardId>, due: Vec<DueReply>, now: DateTime<Utc>) {
        self.cooling.retain(|_, until| *until > now);
        self.replies.retain(|_, reply| !shards.contains(&reply.shard));
        let ReplyQueue { replies, waiting, .. } = self;
        waiting.retain(|(_, id)| replies.contains_key(id));
        for reply in due {
            let at = reply.next_at.map_or(reply.due.at, |cool| cool.max(reply.due.at));
            self.insert(reply, at);
        }
    }

    /// Takes at most `most` replies that may go at `now`, the longest due first, and marks their mailboxes busy in
    /// `queue`. A reply whose mailbox, user or host must wait is tried again later.
    pub(super) fn take(&mut self, now: DateTime<Utc>, most: usize, queue: &mut Queue) -> Vec<DueReply> {
        let mut taken = Vec::new();
        while taken.len() < most && self.held.is_none_or(|until| until <= now) {
            let Some((at, id)) = self.waiting.first().copied().filter(|(at, _)| *at <= now) else { break };
            self.waiting.remove(&(at, id));
            let Some(reply) = self.replies.get(&id) else { continue };
            if reply.due.until <= now || queue.is_refused(reply_scope(reply, now)) {
                self.replies.remove(&id);
                continue;
            }
            let later = |until: &DateTime<Utc>| *until > now;
            let cool = self.cooling.get(&reply.mailbox).copied().filter(later);
            // The mails of a throttled user go first, and soon.
            let held = queue
                .held_until(reply.user, &reply.host)
                .filter(later)
                .map(|until| until.max(now + REFUSAL_RETRY_DELAY));
            let full = (!queue.has_room(reply.user, &reply.host)).then_some(now + REFUSAL_RETRY_DELAY);
            match cool.max(held).max(full) {
                Some(until) => drop(self.waiting.insert((until, id))),
                None if queue.occupy(reply.mailbox) => {
                    queue.handed_out(reply.mailbox, reply.user, &reply.host);
                    taken.extend(self.replies.remove(&id));
                }
                // The mailbox has a mail in flight; its settlement sets the cooldown.
                None => drop(self.waiting.insert((now + REFUSAL_RETRY_DELAY, id))),
            }
        }
        taken
    }

    /// Puts back a taken reply; it is not handed out before `at`.
    pub(super) fn put_back(&mut self, reply: DueReply, at: DateTime<Utc>) {
        self.insert(reply, at);
    }

    /// Records that a mailbox cools down until `until`.
    pub(super) fn cool(&mut self, mailbox: MailboxId, until: DateTime<Utc>) {
        self.cooling.insert(mailbox, until);
    }

    /// Delays all replies until `until`.
    pub(super) fn pause_until(&mut self, until: DateTime<Utc>) {
        self.held = self.held.max(Some(until));
    }

    /// Forgets all cooldowns and delays, because the clock that computed them was set since.
    pub(super) fn forget_holds(&mut self) {
        self.cooling.clear();
        self.held = None;
    }

    /// Returns the time of the next reply; `None` if no reply waits.
    pub(super) fn next_at(&self) -> Option<DateTime<Utc>> {
        let (at, _) = *self.waiting.first()?;
        Some(self.held.map_or(at, |held| at.max(held)))
    }

    fn insert(&mut self, reply: DueReply, at: DateTime<Utc>) {
        self.waiting.insert((at, reply.id));
        self.replies.insert(reply.id, reply);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::{id::UserId, reply::ReplyWindow};

    fn at(minute: i64) -> DateTime<Utc> {
        "2026-11-24T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute)
    }

    fn due(id: i64, mailbox: i64, minute: i64) -> DueReply {
        DueReply {
            id: ReplyId(id),
            mailbox: MailboxId(mailbox),
            user: UserId(1),
            shard: ShardId(0),
            domain: "a.test".into(),
            host: "mail.test".into(),
            zone: chrono_tz::UTC,
            partner: MailboxId(99),
            message_id: "1@b.test".into(),
            subject: "Notes".into(),
            due: ReplyWindow { at: at(minute), until: at(600) },
            next_at: None,
            trace: None,
        }
    }

    fn replies(due: Vec<DueReply>) -> ReplyQueue {
        let mut replies = ReplyQueue::default();
        replies.replace(&BTreeSet::from([ShardId(0)]), due, at(0));
        replies
    }

    fn ids(taken: &[DueReply]) -> Vec<i64> {
        taken.iter().map(|reply| reply.id.0).collect()
    }

    #[test]
    fn the_longest_due_goes_first_and_none_before_its_time() {
        let (mut replies, mut queue) = (replies(vec![due(1, 1, 5), due(2, 2, 3), due(3, 3, 9)]), Queue::new(40));
        assert_eq!(replies.next_at(), Some(at(3)));
        assert_eq!(ids(&replies.take(at(5), 9, &mut queue)), [2, 1]);
        assert_eq!(replies.next_at(), Some(at(9)));
    }

    #[test]
    fn a_mailbox_answers_once_at_a_time_and_cools_down_between() {
        let (mut replies, mut queue) = (replies(vec![due(1, 1, 0), due(2, 1, 0)]), Queue::new(40));
        assert_eq!(ids(&replies.take(at(0), 9, &mut queue)), [1]);
        queue.done(MailboxId(1), at(4));
        replies.cool(MailboxId(1), at(4));
        assert!(replies.take(at(3), 9, &mut queue).is_empty());
        assert_eq!(ids(&replies.take(at(4), 9, &mut queue)), [2]);
    }

    #[test]
    fn a_held_user_s_replies_wait() {
        let (mut replies, mut queue) = (replies(vec![due(1, 1, 0)]), Queue::new(40));
        queue.hold(UserId(1), at(2), 0);
        assert!(replies.take(at(1), 9, &mut queue).is_empty());
        assert_eq!(ids(&replies.take(at(2), 9, &mut queue)), [1]);
    }

    #[test]
    fn a_held_host_s_replies_wait() {
        let (mut replies, mut queue) = (replies(vec![due(1, 1, 0)]), Queue::new(40));
        queue.hold_host("mail.test", at(2));
        assert!(replies.take(at(1), 9, &mut queue).is_empty());
        assert_eq!(ids(&replies.take(at(2), 9, &mut queue)), [1]);
    }

    #[test]
    fn when_the_caps_are_short_all_replies_wait() {
        let (mut replies, mut queue) = (replies(vec![due(1, 1, 0)]), Queue::new(40));
        replies.pause_until(at(1));
        assert_eq!(replies.next_at(), Some(at(1)));
        assert!(replies.take(at(0), 9, &mut queue).is_empty());
        assert_eq!(ids(&replies.take(at(1), 9, &mut queue)), [1]);
    }

    #[test]
    fn a_reply_whose_time_has_passed_is_not_handed_out() {
        let (mut replies, mut queue) = (replies(vec![due(1, 1, 0)]), Queue::new(40));
        assert!(replies.take(at(600), 9, &mut queue).is_empty());
        assert_eq!(replies.next_at(), None);
    }
}
