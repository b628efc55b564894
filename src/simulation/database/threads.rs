//! `Tables` stores the scheduled replies with their states: waiting, claimed, ended.
//!
//! An index by shard and time spares a tick from reading all of them.

use std::collections::btree_map::Entry;

use chrono::{DateTime, Utc};

use super::{ReplyRow, Tables};
use crate::domain::id::{ReplyId, ShardId};

impl Tables {
    /// Schedules a reply, once.
    pub(in crate::simulation) fn schedule(&mut self, id: ReplyId, reply: ReplyRow) {
        let place = self.place(id, &reply);
        if let Entry::Vacant(free) = self.replies.entry(id) {
            free.insert(reply);
            self.waiting.insert(place);
        }
    }

    /// Returns the waiting replies of the mailboxes of `shards` that are due before `at`.
    pub(in crate::simulation) fn due_before<'a>(
        &'a self,
        shards: &'a [ShardId],
        at: DateTime<Utc>,
    ) -> impl Iterator<Item = (ReplyId, &'a ReplyRow)> {
        let at_first = |at| move |shard: &ShardId| (*shard, at, ReplyId(i64::MIN));
        let (from, to) = (at_first(DateTime::<Utc>::MIN_UTC), at_first(at));
        let due = move |shard: &ShardId| self.waiting.range(from(shard)..to(shard));
        shards.iter().flat_map(due).filter_map(|(_, _, id)| Some((*id, self.replies.get(id)?)))
    }

    /// Marks a reply as claimed, because a mail that answers the thread is in flight.
    pub(in crate::simulation) fn claim(&mut self, id: ReplyId) {
        self.leave(id, "claimed", None);
    }

    /// Marks a claimed reply as waiting again, because its mail was not started.
    pub(in crate::simulation) fn wait_again(&mut self, id: ReplyId) {
        self.leave(id, "waiting", None);
        self.waiting.extend(self.replies.get(&id).map(|reply| self.place(id, reply)));
    }

    /// Marks a reply as lapsed: it is never sent.
    pub(in crate::simulation) fn lapse(&mut self, id: ReplyId, reason: &str) {
        self.end_reply(id, "lapsed", Some(reason.to_owned()));
    }

    /// Ends a reply in `state`.
    pub(in crate::simulation) fn end_reply(&mut self, id: ReplyId, state: &'static str, reason: Option<String>) {
        self.leave(id, state, reason);
        if self.forgets {
            self.replies.remove(&id);
        }
    }

    fn leave(&mut self, id: ReplyId, state: &'static str, reason: Option<String>) {
        let Some(place) = self.replies.get(&id).map(|reply| self.place(id, reply)) else { return };
        self.waiting.remove(&place);
        if let Some(reply) = self.replies.get_mut(&id) {
            (reply.state, reply.reason) = (state, reason);
        }
    }

    fn place(&self, id: ReplyId, reply: &ReplyRow) -> (ShardId, DateTime<Utc>, ReplyId) {
        (self.shard(reply.mailbox), reply.due.at, id)
    }
}
