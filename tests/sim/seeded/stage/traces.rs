//! A trouble that ended leaves no trace: looked at when the wait bound after the healing has passed.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use warmup::{
    domain::shard::all_shards,
    ports::{LeaseKey, MembershipStore},
};

use super::{Fault, Fixture, SHARDS, SKEW_SECONDS};

/// Added to the mail deadline before a sweep settles what nobody works on.
const ORPHANED_AFTER_SECONDS: u64 = 10;

/// For how long a host rests that failed five times in a row.
const FIRST_PAUSE: TimeDelta = TimeDelta::minutes(5);

impl Fixture {
    /// Looks at everything that a trouble may have left.
    pub(super) async fn look_for_traces(&self) {
        let left = [
            self.shards_without_owner(),
            self.workers_not_running().await,
            self.stuck_mails(),
            self.rests(),
            self.paused_hosts(),
            self.untold_states(),
        ];
        left.into_iter().flatten().for_each(|trace| self.judge.violated(format!("a trouble left a trace: {trace}")));
    }

    fn shards_without_owner(&self) -> Vec<String> {
        let holders = self.leases.holders();
        let free = all_shards(SHARDS).into_iter().filter(|shard| !holders.contains_key(&LeaseKey::Shard(*shard)));
        free.map(|shard| format!("shard {shard} has no owner")).collect()
    }

    /// Every member is a worker that lives, and every worker whose clock is right is running.
    async fn workers_not_running(&self) -> Vec<String> {
        let lives = self.scenario.lives.iter().filter(|life| life.stops_ms.is_none() && life.killed_ms.is_none());
        let living: BTreeSet<&str> = lives.clone().map(|life| life.name).collect();
        let right = lives.clone().filter(|life| life.ahead_seconds.abs() <= SKEW_SECONDS).map(|life| life.name);
        let right: BTreeSet<&str> = right.collect();
        let is_twice = |name: &str| lives.clone().filter(|life| life.name == name).count() > 1;
        let members = self.leases.members().await.expect("nothing fails here");
        let mut left = Vec::new();
        for member in members {
            let (name, state) = (member.status.id.0.as_str(), member.status.state.as_str());
            if !living.contains(name) {
                left.push(format!("{name} is gone and still a member"));
            } else if right.contains(name) && state != "running" && !(state == "replaced" && is_twice(name)) {
                left.push(format!("{name} is {state}"));
            }
        }
        left
    }

    /// What nobody works on was swept by a tick.
    fn stuck_mails(&self) -> Vec<String> {
        let tempo = &self.scenario.tempo;
        let longest = tempo.mail_deadline + ORPHANED_AFTER_SECONDS + tempo.tick + 2 * tempo.heartbeat;
        let before = self.clock.now() - TimeDelta::seconds(longest as i64);
        self.judge.flying_since(before).into_iter().map(|flight| format!("flight {flight} never ended")).collect()
    }

    /// Nobody rests longer than a cooldown.
    fn rests(&self) -> Vec<String> {
        let tempo = &self.scenario.tempo;
        let latest = self.clock.now() + TimeDelta::seconds(tempo.cooldown.1 as i64 + SKEW_SECONDS);
        let facts = self.world.mailbox_facts().into_iter();
        let resting = facts.filter(|mailbox| mailbox.row.next_at.is_some_and(|at| at > latest));
        resting.map(|mailbox| format!("mailbox {} cools down until {:?}", mailbox.id, mailbox.row.next_at)).collect()
    }

    /// All hosts are well since the quiet. Mails that began before it may still have failed, and begun a first pause; where
    /// the operator resumes nobody, the hosts are well for so long that this has passed too.
    fn paused_hosts(&self) -> Vec<String> {
        let began_by = self.at(self.scenario.quiet_ms) + TimeDelta::seconds(self.scenario.tempo.mail_deadline as i64);
        let latest = if self.scenario.hosts_heal_alone { self.clock.now() } else { began_by + FIRST_PAUSE };
        let pauses = self.world.pause_facts().into_iter();
        let paused = pauses.filter(|pause| pause.until.is_some_and(|until| until > latest) || pause.is_probing);
        paused.map(|pause| format!("{} {} is paused until {:?}", pause.scope, pause.name, pause.until)).collect()
    }

    /// Counts the size of the fleet, where it is one of those with special cases.
    pub(super) fn note_size(&self) {
        let boxes = &self.scenario.boxes;
        let fault = match boxes.len() {
            1 => Some(Fault::FleetOfOne),
            2 => Some(Fault::FleetOfTwo),
            3 => Some(Fault::FleetOfThree),
            5 => Some(Fault::FleetOfFive),
            17 => Some(Fault::FleetOfSeventeen),
            48 => Some(Fault::FleetOfFortyEight),
            65 => Some(Fault::FleetOfSixtyFive),
            _ => None,
        };
        fault.into_iter().for_each(|fault| self.judge.fault(fault));
        let largest = (0..3).map(|user| boxes.iter().filter(|mailbox| mailbox.user == user).count()).max();
        if boxes.len() > 2 && largest.is_some_and(|largest| 10 * largest >= 8 * boxes.len()) {
            self.judge.fault(Fault::OneOwnerHasMost);
        }
    }
}
