//! How one worker lives, and how it ends.

use std::sync::{Arc, atomic::Ordering};

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use warmup::{
    domain::clock_guard::ALLOWED,
    observe::liveness::Liveness,
    ports::LeaseKey,
    worker::{MembershipError, Worker},
};

use super::{Fault, Fixture, Guard, Life, SHARDS, What, Who};
use crate::{
    link::{Service, State, WorkerLink},
    skewed::Skewed,
};

impl Fixture {
    /// Lives a worker's life.
    pub(super) async fn work(self, life: Life, again: bool) {
        self.until(life.begins_ms).await;
        self.note_begin(&life, again);
        let (who, link, clock) = self.connect(&life);
        let stop = CancellationToken::new();
        let worker = Worker::new(link.ports(), self.settings(&life), Arc::new(Liveness::default()));
        let worker = tokio::spawn(worker.run(stop.clone()));
        let troubles = tokio::spawn(self.clone().trouble(life.clone(), Arc::clone(&who), Arc::clone(&link)));
        let jumps = tokio::spawn(self.clone().jump(life.clone(), clock));
        if let Some(killed) = life.killed_ms {
            self.until(killed).await;
            self.note_end(&life, &who, "killed", [Fault::Killed, Fault::KilledFlying]);
            link.set(State::Dead);
            jumps.abort();
            return worker.abort();
        }
        let stops_ms = life.stops_ms.unwrap_or(self.scenario.lasts_ms());
        self.until(stops_ms).await;
        if life.stops_ms.is_some() {
            self.note_end(&life, &who, "stopped", [Fault::Stopped, Fault::StoppedBusy]);
        }
        who.stopping.store(true, Ordering::Relaxed);
        stop.cancel();
        let end = worker.await.expect("a worker does not panic");
        let stopped_in_peace = self.is_peaceful(&life, stops_ms);
        match end {
            Ok(report) => {
                self.judge.happens(format!("{} ends, {report:?}", life.name));
                if report.abandoned > 0 && stopped_in_peace {
                    self.judge.violated(format!("I8: {} abandons {} mails", life.name, report.abandoned));
                }
            }
            Err(refusal) => self.refused(&life, refusal),
        }
        troubles.abort();
        jumps.abort();
    }

    fn note_end(&self, life: &Life, who: &Who, how: &str, [fault, flying]: [Fault; 2]) {
        let mails = self.judge.flying_of(who.run());
        self.judge.happens(format!("{} is {how} with {mails} mails on their way", life.name));
        self.judge.fault(fault);
        if mails > 0 {
            self.judge.fault(flying);
        }
    }

    fn note_begin(&self, life: &Life, again: bool) {
        self.judge.happens(format!("{} begins", life.name));
        let faults = [
            (true, Fault::Joined),
            (again, Fault::Restarted),
            (life.shards != SHARDS, Fault::CountsOtherShards),
            (life.ahead_seconds != 0 && life.ahead_seconds.abs() <= 30, Fault::ClockALittleOff),
            (life.ahead_seconds.abs() > 30, Fault::ClockFarOff),
        ];
        faults.into_iter().filter(|(is, _)| *is).for_each(|(_, fault)| self.judge.fault(fault));
    }

    /// Why a worker was not started; nothing else may end one before its stop.
    fn refused(&self, life: &Life, refusal: MembershipError) {
        self.judge.happens(format!("{} is refused: {refusal}", life.name));
        let (fault, guard) = match refusal {
            MembershipError::NameTaken(_) => (Fault::NameUsedTwice, Guard::NameTaken),
            MembershipError::OtherShards { .. } => (Fault::CountsOtherShards, Guard::OtherShards),
            MembershipError::WorksAlone(_) => (Fault::FleetBesideSolo, Guard::WorksAlone),
            MembershipError::AnotherWorker => (Fault::SoloBesideFleet, Guard::AnotherWorker),
            // No other fleet is drawn, and Redis is sound.
            refusal @ (MembershipError::AnotherFleet(_) | MembershipError::Unusable(_)) => {
                return self.judge.violated(format!("{} is refused: {refusal}", life.name));
            }
        };
        self.judge.fault(fault);
        self.judge.guard(guard, 1);
    }

    /// Says whether nothing befell the services, or this worker, while it was stopping.
    fn is_peaceful(&self, life: &Life, stops_ms: i64) -> bool {
        let (from, to) = (stops_ms - 60_000, self.now_ms());
        let overlaps = |begins: i64, ends: i64| begins < to && ends > from;
        let skies = self.scenario.incidents.iter().filter(|incident| matches!(incident.what, What::Sky(..)));
        let troubled = life.troubles.iter().any(|(_, begins, ends)| overlaps(*begins, *ends));
        !troubled && !skies.into_iter().any(|incident| overlaps(incident.from_ms, incident.to_ms))
    }

    /// A worker that can't write has no shard once the others had time to take them.
    async fn gives_shards_up(&self, life: &Life, who: &Who, from: i64, to: i64) {
        let by = from + self.scenario.recovery_ms();
        if by < to {
            self.until(by).await;
            let holders = self.leases.holders();
            let held =
                holders.into_iter().filter(|(key, run)| matches!(key, LeaseKey::Shard(_)) && Some(*run) == who.run());
            let held = held.count();
            if held > 0 {
                self.judge.violated(format!("I21: {} can't write and keeps {held} shards", life.name));
            }
        }
    }

    /// A clock that is further off than may be allowed for is told of, once a heartbeat has compared it.
    fn says_that_the_clock_was_off(&self, life: &Life, ahead: i64, (from, to): (i64, i64)) {
        let compared_within_ms = 2 * 1_000 * self.scenario.tempo.heartbeat as i64;
        let skies = self.scenario.incidents.iter().filter(|incident| matches!(incident.what, What::Sky(..)));
        let services = skies.map(|incident| (incident.from_ms, incident.to_ms));
        let mut troubles = services.chain(life.troubles.iter().map(|(_, began, ended)| (*began, *ended)));
        let is_quiet = !troubles.any(|(began, ended)| began < to && from < ended + compared_within_ms);
        if ahead.abs() > ALLOWED.num_seconds() && to - from > compared_within_ms && is_quiet {
            let is_told =
                self.world.events().iter().any(|event| event.kind == "clock-off" && event.at >= self.at(from));
            if !is_told {
                self.judge.violated(format!("I9: the clock of {} was {ahead} s off, and no event says so", life.name));
            }
            self.judge.guard(Guard::ClockOffTold, 1);
        }
    }

    /// Lets the worker's clock jump, and return.
    async fn jump(self, life: Life, clock: Arc<Skewed>) {
        for (ahead, from, to) in life.jumps.clone() {
            self.until(from).await;
            self.judge.happens(format!("the clock of {} is {ahead} s ahead until {to} ms", life.name));
            self.judge.fault(match ahead {
                ..0 => Fault::ClockJumpedBack,
                0..3_600 => Fault::ClockJumpedAhead,
                3_600..31_536_000 => Fault::ClockJumpedHours,
                31_536_000.. => Fault::ClockJumpedAYear,
            });
            self.judge.clock_jumped(life.name);
            clock.jump_to(TimeDelta::seconds(life.ahead_seconds + ahead));
            self.until(to).await;
            clock.jump_to(TimeDelta::seconds(life.ahead_seconds));
            self.judge.fault(Fault::ClockReturned);
            self.says_that_the_clock_was_off(&life, ahead, (from, to));
        }
    }

    async fn trouble(self, life: Life, who: Arc<Who>, link: Arc<WorkerLink>) {
        for (state, from, to) in life.troubles.clone() {
            self.until(from).await;
            self.judge.happens(format!("{} is {state:?} until {to} ms", life.name));
            let frozen = state == State::Frozen;
            let fault = match state {
                State::Cut(Service::Redis) => Fault::CutFromRedis,
                State::Cut(Service::Postgres) => Fault::CutFromPostgres,
                State::ReadOnly => Fault::ReadOnlyForOne,
                _ if to - from > 65_000 => Fault::FrozenPastSweep,
                _ if to - from > 15_000 => Fault::FrozenPastLease,
                _ => Fault::Frozen,
            };
            self.judge.fault(fault);
            self.judge.frozen(who.run(), frozen);
            link.set(state);
            if state == State::ReadOnly {
                self.gives_shards_up(&life, &who, from, to).await;
            }
            self.until(to).await;
            link.set(State::Whole);
            self.judge.frozen(who.run(), false);
        }
    }
}
