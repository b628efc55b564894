//! What befalls all: the weather, the hosts, the operator.

use std::time::Duration;

use chrono::TimeDelta;
use warmup::{
    domain::{
        id::{MailboxId, UserId, WorkerId},
        shard::all_shards,
    },
    ports::{Bell, Ledger, fleet_control::Notification},
    simulation::database::MailboxState,
};

use super::{Checker, Fault, Fixture, HOSTS, Incident, MOVED, SHARDS, What, mailbox};
use crate::{link::Service, sky::Condition};

impl Fixture {
    pub(super) async fn befall(self, incident: Incident) {
        let Incident { from_ms, to_ms, what } = incident;
        if let What::SetBack(seconds) = what {
            return self.set_back(seconds, (from_ms, to_ms)).await;
        }
        self.until(from_ms).await;
        self.judge.happens(format!("{what:?} until {to_ms} ms"));
        match what {
            What::Sky(service, condition) => {
                self.sky.set(service, condition);
                self.until(to_ms).await;
                self.sky.set(service, Condition::Fair);
            }
            What::RedisForgets => {
                self.caps.lose();
                self.leases.lose();
                self.judge.disturbed();
                self.judge.fault(Fault::RedisForgot);
            }
            What::EpochsPass => self.pass_epochs().await,
            What::RedisClock(ahead) => {
                self.judge.fault(if ahead > 0 { Fault::RedisClockAhead } else { Fault::RedisClockBehind });
                self.judge.disturbed();
                self.redis_clock.jump_to(TimeDelta::seconds(ahead));
                self.until(to_ms).await;
                self.redis_clock.jump_to(TimeDelta::zero());
                self.judge.fault(Fault::RedisClockReturned);
                self.judge.disturbed();
            }
            What::Suspended => {
                self.judge.fault(Fault::Suspended);
                self.machine.suspend(Duration::from_millis((to_ms - from_ms).unsigned_abs()));
            }
            What::Host(host, mood, percent) => {
                self.hosts.enter(host, mood, percent);
                self.until(to_ms).await;
                self.hosts.leave(host, mood);
                if percent == 100 && to_ms - from_ms >= 60_000 && self.has_most_mailboxes(host) {
                    self.judge.fault(Fault::MajorityHostSilent);
                }
            }
            What::Lies(host, percent) => {
                self.hosts.claims.lie(host, percent);
                self.until(to_ms).await;
                self.hosts.claims.lie(host, 0);
            }
            What::Limits(host, limit) => {
                self.hosts.claims.limit(host, Some(limit));
                self.until(to_ms).await;
                self.hosts.claims.limit(host, None);
            }
            What::WrongPasswords(host, user) => {
                self.hosts.claims.refuse_passwords(host, UserId(user), true);
                self.until(to_ms).await;
                self.hosts.claims.refuse_passwords(host, UserId(user), false);
            }
            what => {
                self.operate(what).await;
                self.judge.operated();
            }
        }
    }

    /// What the operator does.
    async fn operate(&self, what: What) {
        match what {
            What::Ordered { running, heard } => self.order(running, heard).await,
            What::Triggered => {
                self.judge.fault(Fault::Triggered);
                self.ring(Notification::Trigger).await;
            }
            What::Pause(mailbox) => {
                self.judge.fault(Fault::MailboxPaused);
                self.pause(MailboxId(mailbox));
            }
            What::Resume(mailbox) => {
                self.judge.fault(Fault::MailboxResumed);
                self.resume(MailboxId(mailbox));
            }
            What::PauseAll => {
                self.judge.fault(Fault::PausedInBulk);
                self.everybody().into_iter().for_each(|mailbox| self.pause(mailbox));
            }
            What::ResumeAll => {
                self.judge.fault(Fault::ResumedInBulk);
                self.everybody().into_iter().for_each(|mailbox| self.resume(mailbox));
            }
            What::EnrolMany(new) => {
                self.judge.fault(Fault::EnrolledInBulk);
                new.iter().for_each(|new| self.world.enrol(mailbox(new)));
            }
            What::Enrol(new) => {
                self.judge.fault(Fault::MailboxEnrolled);
                self.world.enrol(mailbox(&new));
            }
            What::Move(mailbox) => {
                self.judge.fault(Fault::MailboxMoved);
                self.world.change(MailboxId(mailbox), |mailbox| mailbox.endpoint.host = MOVED.into());
            }
            What::Lower(mailbox, most) => {
                self.judge.fault(Fault::QuotaLowered);
                self.world
                    .change(MailboxId(mailbox), |mailbox| mailbox.ramp.daily_max = mailbox.ramp.daily_max.min(most));
            }
            other => unreachable!("{other:?} is nothing that an operator does"),
        }
    }

    async fn pass_epochs(&self) {
        self.judge.fault(Fault::EpochsPassed);
        let shards = all_shards(SHARDS);
        let epochs = self.world.epochs(&shards).await.expect("nothing fails here");
        let read: Vec<_> = shards.into_iter().zip(epochs).collect();
        let raised = self.world.raise(&WorkerId("stranger".into()), &read).await.expect("nothing fails here");
        self.judge.raised(&read, &raised);
    }

    async fn order(&self, running: bool, heard: bool) {
        self.judge.fault(if running { Fault::OrderedToStart } else { Fault::OrderedToStop });
        self.world.order(running);
        if heard {
            self.ring(Notification::Ordered).await;
        } else {
            self.judge.fault(Fault::OrderUnheard);
        }
    }

    async fn ring(&self, ring: Notification) {
        self.bell.ring(ring).await.expect("a bell in memory rings");
    }

    fn has_most_mailboxes(&self, host: &str) -> bool {
        let facts = self.world.mailbox_facts();
        let there = facts.iter().filter(|mailbox| *mailbox.host == *host).count();
        10 * there >= 8 * facts.len()
    }

    fn everybody(&self) -> Vec<MailboxId> {
        self.world.mailbox_states().into_iter().map(|(mailbox, _)| mailbox).collect()
    }

    fn pause(&self, mailbox: MailboxId) {
        let paused = MailboxState::Stopped { reason: "operator".into(), by_operator: true };
        self.world.change(mailbox, |mailbox| mailbox.sending = paused);
    }

    fn resume(&self, mailbox: MailboxId) {
        self.world.resume(mailbox);
    }

    /// The hosts are well again, and the operator resumes everybody.
    pub(super) async fn quiet(self) {
        self.until(self.scenario.quiet_ms).await;
        self.judge.happens("the hosts are well, and all are resumed");
        if !self.scenario.hosts_heal_alone {
            HOSTS.into_iter().for_each(|host| self.world.resume_host(host));
            self.world.end_owner_pauses();
        }
        self.everybody().into_iter().for_each(|mailbox| self.resume(mailbox));
        self.order(true, true).await;
        self.judge.operated();
    }
}

/// Counts a call that something befell.
pub(super) fn felt(judge: &Checker, service: Service, condition: Condition) {
    let fault = match (service, condition) {
        (_, Condition::Fair) => return,
        (Service::Redis, Condition::Gone) => Fault::RedisGone,
        (Service::Redis, Condition::RequestsLost) => Fault::RedisRequestLost,
        (Service::Redis, Condition::AnswersLost) => Fault::RedisAnswerLost,
        (Service::Redis, _) => {
            judge.disturbed();
            Fault::RedisPaused
        }
        (Service::Postgres, Condition::Gone) => Fault::PostgresGone,
        (Service::Postgres, Condition::ReadOnly) => Fault::PostgresReadOnly,
        (Service::Postgres, Condition::RequestsLost) => Fault::PostgresRequestLost,
        (Service::Postgres, Condition::AnswersLost) => Fault::PostgresAnswerLost,
        (Service::Postgres, Condition::Paused) => Fault::PostgresPaused,
        (Service::Postgres, Condition::Slow(_)) => Fault::PostgresSlow,
        (Service::Postgres, Condition::DoneLate(_)) => Fault::PostgresLate,
    };
    judge.fault(fault);
}
