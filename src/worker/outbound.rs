//! `OutboundMail` is a mail or reply on its way to a lane: a mail of the plan, or a reply that is due.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::queue::{Mail, RefusalScope};
use crate::domain::{
    id::{MailboxId, ShardId, UserId},
    reply::DueReply,
    time::today,
};

/// A mail or reply that a lane can send.
#[derive(Clone, Debug)]
pub(super) enum OutboundMail {
    Mail(Mail),
    Reply(DueReply),
}

impl OutboundMail {
    pub(super) fn mailbox(&self) -> MailboxId {
        match self {
            OutboundMail::Mail(mail) => mail.planned.mailbox,
            OutboundMail::Reply(reply) => reply.mailbox,
        }
    }

    pub(super) fn user(&self) -> UserId {
        match self {
            OutboundMail::Mail(mail) => mail.planned.user,
            OutboundMail::Reply(reply) => reply.user,
        }
    }

    /// Returns the mail host, in lower case.
    pub(super) fn host(&self) -> &str {
        match self {
            OutboundMail::Mail(mail) => &mail.planned.host,
            OutboundMail::Reply(reply) => &reply.host,
        }
    }

    /// Returns the mail host as a shared string.
    pub(super) fn shared_host(&self) -> Arc<str> {
        match self {
            OutboundMail::Mail(mail) => Arc::clone(&mail.planned.host),
            OutboundMail::Reply(reply) => Arc::clone(&reply.host),
        }
    }

    pub(super) fn shard(&self) -> ShardId {
        match self {
            OutboundMail::Mail(mail) => mail.planned.shard,
            OutboundMail::Reply(reply) => reply.shard,
        }
    }

    /// Returns the keys that a refusal of this mail or reply at `now` can be about.
    pub(super) fn refusal_scope(&self, now: DateTime<Utc>) -> RefusalScope<'_> {
        match self {
            OutboundMail::Mail(Mail { planned, .. }) => RefusalScope {
                user: planned.user,
                day: planned.day,
                shard: planned.shard,
                host: &planned.host,
                domain: &planned.domain,
            },
            OutboundMail::Reply(reply) => reply_scope(reply, now),
        }
    }
}

/// Returns the keys that a refusal of `reply` at `now` can be about.
pub(super) fn reply_scope(reply: &DueReply, now: DateTime<Utc>) -> RefusalScope<'_> {
    let DueReply { user, shard, host, domain, zone, .. } = reply;
    RefusalScope { user: *user, day: today(*zone, now), shard: *shard, host, domain }
}

impl super::Worker {
    /// Takes at most `most` mails and replies that may go at `now`: the mails by urgency, then replies for the rest.
    pub(super) fn take_letters(&mut self, now: DateTime<Utc>, most: usize) -> Vec<OutboundMail> {
        let mut letters: Vec<OutboundMail> = self.queue.take(now, most).into_iter().map(OutboundMail::Mail).collect();
        let replies = self.replies.take(now, most - letters.len(), &mut self.queue);
        letters.extend(replies.into_iter().map(OutboundMail::Reply));
        letters
    }

    /// Puts back a taken mail or reply; it is not handed out before `at`.
    pub(super) fn put_back(&mut self, letter: OutboundMail, at: DateTime<Utc>) {
        match letter {
            OutboundMail::Mail(mail) => self.queue.put_back(mail, at),
            OutboundMail::Reply(reply) => {
                self.queue.free(reply.mailbox);
                self.replies.put_back(reply, at);
            }
        }
    }

    /// Drops a taken mail or reply that was not started. The next tick reads it again.
    pub(super) fn drop_mail(&mut self, letter: &OutboundMail) {
        match letter {
            OutboundMail::Mail(mail) => self.queue.drop_taken(mail.planned.mailbox),
            OutboundMail::Reply(reply) => self.queue.free(reply.mailbox),
        }
    }
}
