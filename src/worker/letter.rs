//! What a lane can carry: a mail of the plan or a reply that is due.

use chrono::{DateTime, Utc};

use super::queue::Mail;
use crate::domain::{
    id::{MailboxId, ShardId, UserId},
    reply::DueReply,
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

    pub(super) fn shard(&self) -> ShardId {
        match self {
            Letter::Mail(mail) => mail.planned.shard,
            Letter::Reply(reply) => reply.shard,
        }
    }
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
