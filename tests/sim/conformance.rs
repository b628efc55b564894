//! The ledger's conformance suite in memory: what the simulation stands on.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chrono::NaiveDate;
use warmup::{
    domain::{
        id::{BatchId, MailboxId, UserId},
        mailbox::{Endpoint, Security},
        ramp::Ramp,
        time::{Schedule, Weekdays, Window},
    },
    ports::{Ledger, PlanningStore},
    simulation::{
        Fault, MemoryDatabase, MemoryMailbox,
        database::{Backup, MailboxState as Sending},
    },
};
use warmup_support::{
    conformance::ledger::{DayCounts, LedgerWorld, LogLine, ReplyLine, Standing},
    hand_clock::HandClock,
};

struct InMemory {
    clock: Arc<HandClock>,
    world: MemoryDatabase,
    backup: Mutex<Option<Backup>>,
}

async fn world() -> InMemory {
    let clock = Arc::new(HandClock::default());
    // One shard, so that every mailbox stands in it, and a second number that nobody has.
    InMemory { world: MemoryDatabase::new(clock.clone(), 1, 1.5), clock, backup: Mutex::default() }
}

#[async_trait]
impl LedgerWorld for InMemory {
    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(self.world.clone())
    }

    fn mailboxes(&self) -> Arc<dyn PlanningStore> {
        Arc::new(self.world.clone())
    }

    async fn enrol(&self, id: i64, user: i64, quota: u16, domain: &str, weekdays: u8) {
        self.world.enrol(MemoryMailbox {
            id: MailboxId(id),
            user: UserId(user),
            email: format!("box{id}@{domain}"),
            display_name: String::new(),
            endpoint: Endpoint { host: "mail.test".into(), port: 465, security: Security::Tls },
            schedule: Schedule {
                zone: chrono_tz::UTC,
                window: Window::new(0, 1440).unwrap(),
                days: Weekdays::from_bits(weekdays).unwrap(),
            },
            ramp: Ramp { start: quota, step: 0, daily_max: quota },
            grown: 0,
            reply_rate: 0,
            enabled: true,
            sending: Sending::Active,
            receiving: Sending::Active,
        });
    }

    async fn limit(&self, user: i64, limit: u32) {
        self.world.limit(UserId(user), limit);
    }

    async fn order(&self, running: bool) {
        self.world.order(running);
    }

    async fn pause(&self, mailbox: i64) {
        let stopped = Sending::Stopped { reason: "operator".into(), by_operator: true };
        self.world.change(MailboxId(mailbox), |mailbox| mailbox.sending = stopped);
    }

    async fn set_quota(&self, mailbox: i64, quota: u16) {
        self.world.change(MailboxId(mailbox), |mailbox| {
            mailbox.ramp = Ramp { start: quota, step: 0, daily_max: quota };
        });
    }

    async fn set_ramp(&self, mailbox: i64, ramp: Ramp, grown: u16) {
        self.world.change(MailboxId(mailbox), |mailbox| (mailbox.ramp, mailbox.grown) = (ramp, grown));
    }

    async fn backup(&self) {
        *self.backup.lock().unwrap() = Some(self.world.backup());
    }

    async fn restore(&self) {
        self.world.restore(self.backup.lock().unwrap().as_ref().expect("a backup"));
    }

    async fn age(&self, by: Duration) {
        self.clock.pass(by);
    }

    async fn day(&self, mailbox: i64, day: NaiveDate) -> DayCounts {
        let row = self.world.day(MailboxId(mailbox), day).unwrap_or_default();
        DayCounts {
            quota: row.quota.into(),
            reserved: row.reserved.into(),
            sent: row.sent.into(),
            failed: row.failed.into(),
            uncertain: row.uncertain.into(),
            attempts: row.attempts.into(),
            replied: row.replied.into(),
            reply_attempts: row.reply_attempts.into(),
            closed: row.closed,
            late: row.late,
        }
    }

    async fn grown(&self, mailbox: i64) -> i64 {
        self.world.mailbox(MailboxId(mailbox)).unwrap().grown.into()
    }

    async fn logs(&self) -> Vec<LogLine> {
        let line = |(flight, row): (warmup::domain::id::FlightId, warmup::simulation::database::LogRow)| LogLine {
            flight: flight.0,
            mailbox: row.mailbox.0,
            partner: row.partner.0,
            status: row.status.to_owned(),
            reason: row.reason,
            answers: row.answers.map(|reply| reply.0),
        };
        self.world.logs().into_iter().map(line).collect()
    }

    async fn replies(&self) -> Vec<ReplyLine> {
        let line = |(id, row): (warmup::domain::id::ReplyId, warmup::simulation::database::ReplyRow)| ReplyLine {
            id: id.0,
            state: row.state.to_owned(),
            reason: row.reason,
        };
        self.world.replies().into_iter().map(line).collect()
    }

    async fn pairs(&self) -> Vec<(i64, i64, i64)> {
        self.world.pairs().into_iter().map(|(_, from, to, round)| (from.0, to.0, round.into())).collect()
    }

    async fn in_flight(&self) -> usize {
        self.world.in_flight().len()
    }

    async fn standing(&self, mailbox: i64) -> Standing {
        let mailbox = self.world.mailbox(MailboxId(mailbox)).unwrap();
        let words = |standing: &Sending| match standing {
            Sending::Active => ("active", None),
            Sending::Paused { reason, .. } => ("paused", Some(reason.clone())),
            Sending::Stopped { reason, .. } => ("stopped", Some(reason.clone())),
        };
        let (sending, sending_reason) = words(&mailbox.sending);
        let (receiving, receive_reason) = words(&mailbox.receiving);
        Standing { sending: sending.into(), sending_reason, receives: receiving == "active", receive_reason }
    }

    async fn events(&self) -> Vec<(String, Option<i64>, String)> {
        let events = self.world.events().into_iter();
        events.map(|event| (event.kind, event.mailbox.map(|mailbox| mailbox.0), event.reason)).collect()
    }

    async fn batch(&self, batch: i64) -> (i64, i64, i64, i64, i64, bool) {
        let row = self.world.batch(BatchId(batch)).unwrap();
        let counts = [row.processed, row.sent, row.failed, row.uncertain, row.released].map(i64::from);
        (counts[0], counts[1], counts[2], counts[3], counts[4], row.finished)
    }

    async fn set_verified(&self, mailbox: i64, is_verified: bool) {
        self.world.set_verified(MailboxId(mailbox), is_verified);
    }

    async fn set_host(&self, mailbox: i64, host: &str) {
        self.world.change(MailboxId(mailbox), |mailbox| mailbox.endpoint.host = host.to_owned());
    }

    async fn set_starttls(&self, mailbox: i64, port: u16) {
        self.world.change(MailboxId(mailbox), |mailbox| {
            (mailbox.endpoint.port, mailbox.endpoint.security) = (port, Security::Starttls);
        });
    }

    async fn resume(&self, mailbox: i64) {
        self.world.resume(MailboxId(mailbox));
    }

    async fn resume_host(&self, host: &str) {
        self.world.resume_host(host);
    }

    async fn go_away(&self) {
        self.world.set_fault(Some(Fault::Unavailable));
    }

    async fn lose_next_request(&self) {
        self.world.fail_next(Fault::RequestLost);
    }

    async fn lose_next_answer(&self) {
        self.world.lose_next_answer();
    }
}

warmup_support::ledger_conformance!(world);
