//! What a lane can carry: a mail of the plan or a reply that is due.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::queue::{Mail, RefusalScope};
use crate::domain::{
    id::{MailboxId, ShardId, UserId},
    reply::DueReply,
    time::today,
};

/// A mail or a reply on its way to a lane.
#[derive(Clone, Debug)]
pub(super) enum Letter {
    Mail(Mail),
    Reply(DueReply),
}

impl Letter {
    pub(super) fn mailbox(&self) -> MailboxId {
        match self {
            Letter::Mail(mail) => mail.planned.mailbox,
            Letter::Reply(reply) => reply.mailbox,
        }
    }

    pub(super) fn user(&self) -> UserId {
        match self {
            Letter::Mail(mail) => mail.planned.user,
            Letter::Reply(reply) => reply.user,
        }
    }

    /// The mail host, in lower case.
    pub(super) fn host(&self) -> &str {
        match self {
            Letter::Mail(mail) => &mail.planned.host,
            Letter::Reply(reply) => &reply.host,
        }
    }

    /// The same, to be kept.
    pub(super) fn shared_host(&self) -> Arc<str> {
        match self {
            Letter::Mail(mail) => Arc::clone(&mail.planned.host),
            Letter::Reply(reply) => Arc::clone(&reply.host),
        }
    }

    pub(super) fn shard(&self) -> ShardId {
        match self {
            Letter::Mail(mail) => mail.planned.shard,
            Letter::Reply(reply) => reply.shard,
        }
    }

    /// What a refusal of it at `now` can be about.
    pub(super) fn refusal_scope(&self, now: DateTime<Utc>) -> RefusalScope<'_> {
        match self {
            Letter::Mail(Mail { planned, .. }) => RefusalScope {
                user: planned.user,
                day: planned.day,
                shard: planned.shard,
                host: &planned.host,
                domain: &planned.domain,
            },
            Letter::Reply(reply) => reply_scope(reply, now),
        }
    }
}

/// What a refusal of a reply at `now` can be about.
pub(super) fn reply_scope(reply: &DueReply, now: DateTime<Utc>) -> RefusalScope<'_> {
    let DueReply { user, shard, host, domain, zone, .. } = reply;
    RefusalScope { user: *user, day: today(*zone, now), shard: *shard, host, domain }
}

impl super::Worker {
    /// Takes what may go at `now`: the most urgent mails, and replies into the lanes that they leave over.
    pub(super) fn take_letters(&mut self, now: DateTime<Utc>, most: usize) -> Vec<Letter> {
        let mut letters: Vec<Letter> = self.queue.take(now, most).into_iter().map(Letter::Mail).collect();
        let replies = self.replies.take(now, most - letters.len(), &mut self.queue);
        letters.extend(replies.into_iter().map(Letter::Reply));
        letters
    }

    /// Puts back what was taken, not to be handed out before `at`.
    pub(super) fn put_back(&mut self, letter: Letter, at: DateTime<Utc>) {
        match letter {
            Letter::Mail(mail) => self.queue.put_back(mail, at),
            Letter::Reply(reply) => {
                self.queue.free(reply.mailbox);
                self.replies.put_back(reply, at);
            }
        }
    }

    /// Lets go what was taken and came to nothing, until the next tick reads it again.
    pub(super) fn let_go(&mut self, letter: &Letter) {
        match letter {
            Letter::Mail(mail) => self.queue.drop_taken(mail.planned.mailbox),
            Letter::Reply(reply) => self.queue.free(reply.mailbox),
        }
    }
}
