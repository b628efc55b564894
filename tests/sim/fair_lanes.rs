//! No host and no user starves the others: what a part of the fleet sends beside one in trouble, against what it sends alone.
//!
//! Everything is due at once and caps and cooldowns are wide, so that lanes decide. All is counted, nothing timed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use tokio_util::sync::CancellationToken;
use warmup::{
    adapters::system::SeededRng,
    domain::{
        caps::CapLimits,
        id::{MailboxId, UserId, WorkerId},
        mailbox::{Endpoint, Security},
        outcome::{
            Stage,
            classify::{DialogueEnd, classify_outcome},
        },
        ramp::Ramp,
        time::{Schedule, Weekdays},
    },
    observe::liveness::Liveness,
    ports::{Clock, Mailer, SendPermit, SendReport, Submission},
    simulation::{
        FaultRates, MemoryCaps, MemoryDatabase, MemoryLeases, MemoryMailbox, MemoryMailer, MemoryNotifier,
        VirtualClock, database::MailboxState,
    },
    worker::{Ports, Worker, WorkerSettings},
};

use crate::{
    fleet::{LIMITS, settings},
    grants::Noted,
};

/// Mailboxes whose ids begin here, all alike.
#[derive(Clone)]
struct Group {
    first: i64,
    mailboxes: i64,
    user: i64,
    /// A host for each, or one for all.
    hosts: Hosts,
    quota: u16,
}

#[derive(Clone, Copy)]
enum Hosts {
    One(&'static str),
    OneEach,
}

const HEALTHY: Group = Group { first: 1, mailboxes: 60, user: 1, hosts: Hosts::One("good.test"), quota: 300 };
const BAD: Group = Group { first: 1_000, mailboxes: 40, user: 1, hosts: Hosts::One("bad.test"), quota: 300 };

/// Hosts that say nothing more at a stage, from an instant on, to the mailboxes of [`BAD`].
struct Silence {
    healthy: MemoryMailer,
    clock: Arc<dyn Clock>,
    stage: Stage,
    from: DateTime<Utc>,
}

#[async_trait]
impl Mailer for Silence {
    async fn send(&self, mail: &Submission, gate: &SendPermit) -> SendReport {
        if mail.flight.sender.mailbox.0 < BAD.first || self.clock.now() < self.from {
            return self.healthy.send(mail, gate).await;
        }
        // The final reply has a longer time than the other steps.
        let latency = Duration::from_secs(if self.stage == Stage::Dot { 50 } else { 30 });
        self.clock.sleep(latency).await;
        SendReport { outcome: classify_outcome(self.stage, DialogueEnd::Timeout), latency, steps: Vec::new() }
    }
}

struct Scene {
    groups: Vec<Group>,
    /// When hosts fall silent, and where.
    silence: (i64, Stage),
    limits: CapLimits,
    /// Users with a daily limit.
    limited: Vec<(i64, u32)>,
    workers: usize,
    seconds: i64,
}

impl Scene {
    fn of(groups: &[Group]) -> Scene {
        let limits = CapLimits {
            global_hour: 900_000,
            global_minute: 90_000,
            user_hour: 900_000,
            user_minute: 90_000,
            ..LIMITS
        };
        let (groups, limited) = (groups.to_vec(), Vec::new());
        Scene { groups, silence: (0, Stage::Rcpt), limits, limited, workers: 1, seconds: 180 }
    }
}

/// What came of it.
struct Sent {
    world: MemoryDatabase,
    grants: Vec<(i64, UserId)>,
    /// Of all its events.
    events: Vec<String>,
}

impl Sent {
    fn of(&self, group: &Group) -> u64 {
        let ids = group.first..group.first + group.mailboxes;
        let days = self.world.days();
        days.iter().filter(|(mailbox, ..)| ids.contains(&mailbox.0)).map(|(_, _, row)| u64::from(row.sent)).sum()
    }

    fn granted(&self, user: i64) -> usize {
        self.grants.iter().filter(|(_, granted)| *granted == UserId(user)).count()
    }
}

/// Plays it in a runtime of its own, whose time is virtual.
fn play(scene: &Scene) -> Sent {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(live(scene))
}

async fn live(scene: &Scene) -> Sent {
    // In the evening all of the day's quota is owed.
    let begins = Utc.with_ymd_and_hms(2026, 11, 24, 20, 0, 0).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(begins));
    let world = MemoryDatabase::new(Arc::clone(&clock), 16, 1.2);
    scene.groups.iter().for_each(|group| enrol(&world, group));
    scene.limited.iter().for_each(|(user, limit)| world.limit(UserId(*user), *limit));
    let entropy = Arc::new(SeededRng::seeded(5));
    let caps = Arc::new(MemoryCaps::new(scene.limits, Arc::clone(&clock)).unwrap());
    let noted = Arc::new(Noted::over(caps, Arc::clone(&clock)));
    let leases = Arc::new(MemoryLeases::new(Arc::clone(&clock)));
    let mailer = Arc::new(Silence {
        healthy: MemoryMailer::new(Arc::clone(&clock), entropy.clone(), FaultRates::default()),
        clock: Arc::clone(&clock),
        stage: scene.silence.1,
        from: begins + TimeDelta::seconds(scene.silence.0),
    });
    let stop = CancellationToken::new();
    let workers: Vec<_> = (0..scene.workers)
        .map(|n| {
            let ports = Ports {
                clock: Arc::clone(&clock),
                entropy: entropy.clone(),
                mailboxes: Arc::new(world.clone()),
                ledger: Arc::new(world.clone()),
                duties: Arc::new(world.clone()),
                caps: noted.clone(),
                leases: leases.clone(),
                members: leases.clone(),
                mailer: mailer.clone(),
                orders: Arc::new(world.clone()),
                bell: Arc::new(MemoryNotifier::cast()),
            };
            tokio::spawn(Worker::new(ports, busy(scene.workers, n), Arc::new(Liveness::default())).run(stop.clone()))
        })
        .collect();
    clock.sleep_until(begins + TimeDelta::seconds(scene.seconds)).await;
    let grants = noted.grants();
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    assert_eq!(world.audit(), [""; 0]);
    let events = world.events().into_iter().map(|event| event.kind).collect();
    Sent { world, grants, events }
}

/// The production's lanes and their rests, and cooldowns that hardly hold anybody up.
fn busy(workers: usize, n: usize) -> WorkerSettings {
    WorkerSettings {
        worker: WorkerId(format!("w{n}")),
        distributed: workers > 1,
        cooldown_min: Duration::from_secs(1),
        cooldown_max: Duration::from_secs(2),
        tick_interval: Duration::from_secs(60),
        tick_spread: Duration::ZERO,
        ..settings()
    }
}

fn enrol(world: &MemoryDatabase, group: &Group) {
    for id in group.first..group.first + group.mailboxes {
        let host = match group.hosts {
            Hosts::One(host) => host.to_owned(),
            Hosts::OneEach => format!("bad{id}.test"),
        };
        world.enrol(MemoryMailbox {
            id: MailboxId(id),
            user: UserId(group.user),
            email: format!("box{id}@domain{}.test", id % 6),
            display_name: String::new(),
            endpoint: Endpoint { host, port: 465, security: Security::Tls },
            schedule: Schedule { zone: chrono_tz::UTC, window: "09:00-17:00".parse().unwrap(), days: Weekdays::ALL },
            ramp: Ramp { start: group.quota, step: 0, daily_max: group.quota },
            grown: 0,
            reply_rate: 0,
            enabled: true,
            sending: MailboxState::Active,
            receiving: MailboxState::Active,
        });
    }
}

/// What the healthy mailboxes send alone, and beside `bad` ones whose hosts fall silent.
fn alone_and_beside(bad: &Group, silence: (i64, Stage)) -> (u64, u64, Sent) {
    let alone = play(&Scene::of(&[HEALTHY])).of(&HEALTHY);
    let beside = play(&Scene { silence, ..Scene::of(&[HEALTHY, bad.clone()]) });
    (alone, beside.of(&HEALTHY), beside)
}

#[test]
fn beside_a_host_that_is_silent_at_rcpt_or_after_the_dot_the_others_send_more_than_half_of_what_they_send_alone() {
    for stage in [Stage::Rcpt, Stage::Dot] {
        let (alone, beside, sent) = alone_and_beside(&BAD, (0, stage));
        assert!(alone > 500 && beside * 4 >= alone * 3, "{stage:?}: {beside} instead of {alone}");
        assert_eq!(sent.events.iter().filter(|kind| *kind == "host-slow").count(), 1, "{stage:?}: {:?}", sent.events);
    }
}

#[test]
fn a_host_that_falls_silent_when_it_holds_many_lanes_costs_the_others_less_than_half() {
    let (alone, beside, _) = alone_and_beside(&BAD, (60, Stage::Rcpt));
    // Before it falls silent its mailboxes have their share of the lanes.
    assert!(beside * 2 >= alone, "{beside} instead of {alone}");
}

#[test]
fn beside_forty_silent_hosts_the_others_send_more_than_half_of_what_they_send_alone() {
    let (alone, beside, _) = alone_and_beside(&Group { hosts: Hosts::OneEach, ..BAD }, (0, Stage::Rcpt));
    assert!(beside * 2 >= alone, "{beside} instead of {alone}");
}

#[test]
fn a_user_whose_mails_time_out_does_not_slow_the_host_down_for_others() {
    // At the same host, with settings that never get an answer from it.
    let bad = Group { user: 2, hosts: Hosts::One("good.test"), ..BAD };
    let (alone, beside, sent) = alone_and_beside(&bad, (0, Stage::Rcpt));
    assert!(beside * 4 >= alone * 3, "{beside} instead of {alone}");
    assert!(!sent.events.iter().any(|kind| kind == "host-slow"), "{:?}", sent.events);
}

/// 900 mails an hour for all, and 200 mailboxes of a user that may send 12 a day.
fn limited(workers: usize) -> (u64, u64, usize) {
    let bad = Group { mailboxes: 200, user: 2, quota: 30, ..BAD };
    let healthy = Group { quota: 30, ..HEALTHY };
    let hour = |groups: &[Group]| Scene {
        silence: (90_000, Stage::Rcpt),
        limits: CapLimits { global_hour: 900, ..Scene::of(groups).limits },
        limited: vec![(2, 10)],
        workers,
        seconds: 3_600,
        ..Scene::of(groups)
    };
    let alone = play(&hour(std::slice::from_ref(&healthy))).of(&healthy);
    let beside = play(&hour(&[healthy.clone(), bad]));
    (alone, beside.of(&healthy), beside.granted(2))
}

#[test]
fn users_at_their_daily_limit_take_no_tokens_from_the_others() {
    let (alone, beside, granted) = limited(1);
    assert!(alone > 700, "{alone}");
    assert_eq!(granted, 12, "its limit of 10, stretched by 1.2, and nothing that can't be reserved");
    assert!(beside + 12 >= alone, "{beside} instead of {alone}");
}

#[test]
fn workers_that_share_a_user_learn_of_its_full_day_by_one_refusal_each() {
    let (alone, beside, granted) = limited(2);
    assert!(granted < 60, "{granted} tokens for 12 mails");
    assert!(beside + 60 >= alone, "{beside} instead of {alone}");
}
