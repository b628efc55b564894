//! No worker stays in a state in which it does not do its part, once nothing troubles it any more: suspended, with its clock
//! off, replaced or starting. What lasts for a cause has an event.

use std::collections::BTreeMap;

use warmup::{domain::clock_guard::ALLOWED, ports::MembershipStore};

use super::{Fixture, Guard, Life, SKEW_SECONDS};
use crate::link::State;

/// What each worker says of itself, and since when in milliseconds.
pub(super) type WorkerStates = BTreeMap<String, (String, i64)>;

impl Fixture {
    /// Looks at what all workers say, and for how long they have said so.
    pub(super) async fn look_at_workers(&self, states: &mut WorkerStates, troubles: &[(i64, i64)]) {
        let now = self.now_ms();
        let members = self.leases.members().await.expect("nothing fails here");
        let mut said = WorkerStates::new();
        for member in members {
            let (name, state) = (member.status.id.0, member.status.state);
            let since = states.get(&name).filter(|(before, _)| *before == state).map_or(now, |(_, since)| *since);
            said.insert(name, (state, since));
        }
        *states = said;
        if troubles.iter().any(|(from, to)| (*from..=*to).contains(&now)) {
            return;
        }
        let well_since = troubles.iter().map(|(_, to)| *to).filter(|to| *to <= now).max().unwrap_or(0);
        let within = self.scenario.recovery_ms() + 1_000 * self.scenario.tempo.heartbeat as i64;
        let look_ms = 1_000 * self.scenario.looks_every_seconds() as i64;
        for (name, (state, since)) in
            states.iter().filter(|(_, (state, _))| !matches!(&**state, "running" | "draining"))
        {
            let lasts = now - (*since).max(well_since);
            // Told once.
            if lasts > within && lasts <= within + look_ms && !self.has_cause(name, state) {
                self.judge.violated(format!("I9: {name} is {state} for {lasts} ms, and nothing troubles it"));
            }
        }
    }

    /// Says whether a state of a worker lasts as long as its life does.
    fn has_cause(&self, name: &str, state: &str) -> bool {
        let lives: Vec<&Life> = self.scenario.lives.iter().filter(|life| life.name == name).collect();
        match state {
            "clock-off" => lives.iter().any(|life| life.ahead_seconds.abs() > SKEW_SECONDS),
            "replaced" => lives.len() > 1,
            _ => false,
        }
    }

    /// Workers whose clocks were minutes off all along, or to which Postgres refused writes for some heartbeats, have told of
    /// it by an event.
    pub(super) fn untold_states(&self) -> Vec<String> {
        let events = self.world.events();
        let is_told = |kind: &str, from: i64, to: i64| {
            events.iter().any(|event| event.kind == kind && (self.at(from)..=self.at(to)).contains(&event.at))
        };
        let (now, two_heartbeats) = (self.now_ms(), 2_000 * self.scenario.tempo.heartbeat as i64);
        let mut untold = Vec::new();
        for life in &self.scenario.lives {
            let ends = life.stops_ms.or(life.killed_ms).unwrap_or(now);
            let is_off = life.ahead_seconds.abs() > ALLOWED.num_seconds() && ends == now;
            if is_off && !is_told("clock-off", life.begins_ms, now) {
                untold.push(format!("the clock of {} is off, and no event says so", life.name));
            }
            let refused = life
                .troubles
                .iter()
                .filter(|(state, from, to)| *state == State::ReadOnly && to - from > two_heartbeats && ends == now);
            for (_, from, to) in refused {
                match is_told("writes-refused", *from - two_heartbeats, *to) {
                    true => self.judge.guard(Guard::WritesRefusedTold, 1),
                    false => untold.push(format!("Postgres refused writes of {}, and no event says so", life.name)),
                }
            }
        }
        untold
    }
}
