//! `MemoryDatabase` implements the planning store: it closes days and returns candidates, due replies and rosters.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use super::database::{DayRow, Enrolled, MemoryDatabase, Tables};
use crate::{
    domain::{
        id::{MailboxId, ReplyId, ShardId},
        pairing::RosterEntry,
        plan::Candidate,
        ramp::day_counts,
        reply::DueReply,
        roster::is_outdated,
        time::{LocalDates, today},
    },
    ports::{PlanningStore, PortError, Roster},
};

#[async_trait]
impl PlanningStore for MemoryDatabase {
    async fn roll_over_days(
        &self,
        shards: &[ShardId],
        _todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<u64, PortError> {
        self.statement(|tables| {
            let mine: Vec<MailboxId> = tables.of_shards(shards).map(|mailbox| mailbox.id).collect();
            mine.into_iter().map(|id| tables.turn(id, now)).sum()
        })
    }

    async fn candidates(
        &self,
        shards: &[ShardId],
        _todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<Vec<Candidate>, PortError> {
        self.statement(|tables| {
            let mine = tables.of_shards(shards);
            let mine = mine.filter(|m| tables.may_send(m, now) && !tables.is_over(m, now));
            mine.map(|m| tables.candidate(m, now)).collect()
        })
    }

    async fn due_replies(
        &self,
        shards: &[ShardId],
        now: DateTime<Utc>,
        before: DateTime<Utc>,
    ) -> Result<Vec<DueReply>, PortError> {
        self.write(|tables| {
            tables.lapse_late(shards, now);
            tables.due_replies(shards, before)
        })
    }

    async fn roster(
        &self,
        day: NaiveDate,
        now: DateTime<Utc>,
        known: Option<i32>,
    ) -> Result<Option<Roster>, PortError> {
        self.statement(|tables| {
            tables.refresh_roster(day, now);
            tables.rosters.get(&day).filter(|roster| Some(roster.version) != known).cloned()
        })
    }
}

impl Tables {
    /// Closes the past days of a mailbox and opens its today. Returns the number of closed days.
    fn turn(&mut self, id: MailboxId, now: DateTime<Utc>) -> u64 {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return 0 };
        let day = today(mailbox.schedule.zone, now);
        let is_reopened = self.days.get_mut(&(id, day)).is_some_and(|today| reopen(today, mailbox));
        if is_reopened {
            // A clock that was ahead had opened these days; no mail was started on them.
            self.days.retain(|(mailbox, later), row| *mailbox != id || *later <= day || row.attempts > 0 || row.closed);
        }
        if mailbox.turned == Some(day) && !is_reopened {
            return 0;
        }
        let (mut closed, mut late) = (0, 0);
        for ((_, _), row) in self.days.range_mut((id, NaiveDate::MIN)..(id, day)).filter(|(_, row)| !row.closed) {
            row.closed = true;
            row.late = row.reserved < row.quota;
            closed += 1;
            late += u64::from(row.late);
            row.grew = day_counts(row.sent, row.quota);
            mailbox.grown += u16::from(row.grew);
        }
        let owes = mailbox.enabled
            && !matches!(mailbox.sending, super::database::MailboxState::Stopped { by_operator: false, .. })
            && mailbox.schedule.days.contains(day);
        let quota = mailbox.quota();
        if owes {
            mailbox.turned = Some(day);
            let before = self.days.range((id, NaiveDate::MIN)..(id, day)).next_back();
            let failed_in_row = before.map_or(0, |(_, row)| row.failed_in_row);
            self.days.entry((id, day)).or_insert_with(|| DayRow { quota, failed_in_row, ..DayRow::default() });
        }
        if is_reopened {
            self.tell("day-reopened", Some(id), "clock");
        }
        for _ in 0..late {
            self.tell("day-short", Some(id), "late");
        }
        closed
    }

    /// Returns whether the today of a mailbox is closed, for example by a fence.
    fn is_over(&self, mailbox: &Enrolled, now: DateTime<Utc>) -> bool {
        self.days.get(&(mailbox.id, today(mailbox.schedule.zone, now))).is_some_and(|day| day.closed)
    }

    fn candidate(&self, mailbox: &Enrolled, now: DateTime<Utc>) -> Candidate {
        let day = today(mailbox.schedule.zone, now);
        let row = self.days.get(&(mailbox.id, day)).cloned().unwrap_or_default();
        Candidate {
            id: mailbox.id,
            user: mailbox.user,
            shard: self.shard(mailbox.id),
            domain: Arc::clone(&mailbox.domain),
            verified: self.is_verified(mailbox.id),
            host: Arc::clone(&mailbox.host),
            schedule: mailbox.schedule,
            ramp: mailbox.ramp,
            grown: mailbox.grown,
            day,
            reserved: row.reserved,
            sent: row.sent,
            attempts: row.attempts,
            next_at: row.next_at,
            last_sent_at: row.last_sent_at,
            enrolled_at: mailbox.enrolled_at,
            failed_in_row: row.failed_in_row,
            probe: self.probe(mailbox),
        }
    }

    fn lapse_late(&mut self, shards: &[ShardId], now: DateTime<Utc>) {
        // Replies that are due later can't have expired yet.
        let over = self.due_before(shards, now).filter(|(_, reply)| reply.due.until <= now);
        let over: Vec<ReplyId> = over.map(|(id, _)| id).collect();
        over.into_iter().for_each(|id| self.lapse(id, "late"));
    }

    fn due_replies(&self, shards: &[ShardId], before: DateTime<Utc>) -> Vec<DueReply> {
        let due = self.due_before(shards, before).filter_map(|(id, reply)| {
            let mailbox = self.mailboxes.get(&reply.mailbox)?;
            let last_day = self.days.range((mailbox.id, NaiveDate::MIN)..=(mailbox.id, NaiveDate::MAX)).next_back();
            Some(DueReply {
                id,
                mailbox: mailbox.id,
                user: mailbox.user,
                shard: self.shard(mailbox.id),
                domain: Arc::clone(&mailbox.domain),
                host: Arc::clone(&mailbox.host),
                zone: mailbox.schedule.zone,
                partner: reply.partner,
                message_id: reply.message_id.clone(),
                subject: reply.subject.clone(),
                due: reply.due,
                next_at: last_day.and_then(|(_, day)| day.next_at),
                trace: reply.trace.clone(),
            })
        });
        let mut due: Vec<DueReply> = due.collect();
        due.sort_by_key(|reply| (reply.due.at, reply.id));
        due
    }

    /// Creates the roster of `day`, or refreshes an outdated one.
    fn refresh_roster(&mut self, day: NaiveDate, now: DateTime<Utc>) {
        let members = self.roster_members(day, now);
        let Some(roster) = self.rosters.get_mut(&day) else {
            self.rosters.insert(day, Roster { version: 1, members });
            return;
        };
        let known: BTreeMap<MailboxId, &RosterEntry> = roster.members.iter().map(|old| (old.mailbox, old)).collect();
        let (mut stay, mut moved) = (0, 0);
        for (old, new) in members.iter().filter_map(|new| Some((known.get(&new.mailbox)?, new))) {
            stay += 1;
            moved += usize::from((old.user, old.verified) != (new.user, new.verified));
        }
        let changed = roster.members.len() + members.len() - 2 * stay + moved;
        if is_outdated(changed, roster.members.len().max(members.len())) {
            *roster = Roster { version: roster.version + 1, members };
            self.tell("roster-remade", None, "members-changed");
        }
    }

    fn roster_members(&self, day: NaiveDate, now: DateTime<Utc>) -> Vec<RosterEntry> {
        let takes_part = |m: &&Enrolled| Tables::may_receive(m, now) && m.schedule.days.contains(day);
        let mut roster: Vec<RosterEntry> = self
            .mailboxes
            .values()
            .map(|mailbox| &**mailbox)
            .filter(takes_part)
            .map(|m| RosterEntry {
                mailbox: m.id,
                user: m.user,
                domain: Arc::clone(&m.domain),
                quota: self.quota_on(m, day),
                verified: self.is_verified(m.id),
            })
            .filter(|member| member.quota > 0)
            .collect();
        roster.sort_by(|a, b| (a.user, &a.domain, a.mailbox).cmp(&(b.user, &b.domain, b.mailbox)));
        roster
    }

    /// Returns the quota on `day`, as if the earlier open days were already closed.
    fn quota_on(&self, mailbox: &Enrolled, day: NaiveDate) -> u16 {
        let open = self.days.range((mailbox.id, NaiveDate::MIN)..(mailbox.id, day));
        let counting = open.filter(|(_, row)| !row.closed && day_counts(row.sent, row.quota)).count() as u16;
        mailbox.ramp.quota(mailbox.grown + counting)
    }
}

/// Reopens a closed today, and takes back the growth from its closing. Returns whether it was closed.
fn reopen(today: &mut DayRow, mailbox: &mut Enrolled) -> bool {
    if !today.closed || today.fenced {
        return false;
    }
    mailbox.grown = mailbox.grown.saturating_sub(u16::from(today.grew));
    (today.closed, today.late, today.grew) = (false, false, false);
    true
}
